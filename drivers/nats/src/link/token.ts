import { Buffer } from "node:buffer";
import { MicroError } from "@micro-es/runtime";

/**
 * Encodes any text as one token of a NATS subject or key: letters, digits, `-`, `_` and `/` stay,
 * every other byte of its UTF-8 becomes `=` and two hexadecimal digits. Different texts have
 * different tokens, and a prefix stays a prefix.
 */
export function encodeToken(text: string): string {
  if (/^[A-Za-z0-9_/-]+$/.test(text)) return text;
  let token = "";
  for (const byte of Buffer.from(text)) {
    const char = String.fromCharCode(byte);
    token += /[A-Za-z0-9_/-]/.test(char) ? char : `=${byte.toString(16).padStart(2, "0")}`;
  }
  return token;
}

/** The text of a token; undefined if {@link encodeToken} did not write it. */
export function decodeToken(token: string): string | undefined {
  if (!token.includes("=")) return token;
  const bytes: number[] = [];
  for (let at = 0; at < token.length; at++) {
    if (token[at] !== "=") {
      bytes.push(token.charCodeAt(at));
      continue;
    }
    const hex = token.slice(at + 1, at + 3);
    if (!/^[0-9a-f]{2}$/.test(hex)) return undefined;
    bytes.push(Number.parseInt(hex, 16));
    at += 2;
  }
  const text = Buffer.from(bytes).toString();
  return encodeToken(text) === token ? text : undefined;
}

/**
 * @throws MicroError `invalid_argument` for a name that NATS does not allow for a bucket or a
 * stream.
 */
export function checkBucketName(name: string): void {
  if (/^[A-Za-z0-9_-]{1,128}$/.test(name)) return;
  throw new MicroError(
    "invalid_argument",
    `${JSON.stringify(name.slice(0, 64))} is not a name for a NATS bucket or stream: use A-Z, a-z, 0-9, "_" and "-"`,
    { outcome: "not-executed" },
  );
}
