/** For `JSON.stringify`: makes errors and big integers readable, which JSON otherwise drops or rejects. */
export function readableValue(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  if (value instanceof Error) {
    const code = "code" in value ? { code: value.code } : {};
    return { name: value.name, ...code, message: value.message };
  }
  return value;
}
