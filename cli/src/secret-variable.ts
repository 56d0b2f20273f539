/** Whether a variable's name says that its value must not be shown. */
export function isSecret(name: string): boolean {
  return /PASSWORD|TOKEN|SECRET|CREDENTIALS|_KEY$|SEED/i.test(name);
}
