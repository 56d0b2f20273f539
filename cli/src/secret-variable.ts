/** Whether the name of a variable or of a setting says that its value must not be shown. */
export function isSecret(name: string): boolean {
  return /PASSWORD|PASSWD|PASSPHRASE|TOKEN|SECRET|CREDENTIAL|SEED|API_?KEY|PRIVATE_?KEY|_KEY$/i.test(
    name,
  );
}

/** A text without the passwords of the URLs in it. */
export function withoutPassword(text: string): string {
  return text.replace(/(\/\/[^/@:\s]*:)[^/@\s]*@/g, "$1…@");
}
