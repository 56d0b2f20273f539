import { randomBytes } from "node:crypto";

/**
 * Returns a random id in base64url. It begins with no hyphen: on a command line, such as that of
 * `micro auth revoke`, it would look like an option.
 */
export function randomId(bytes: number): string {
  for (;;) {
    const id = randomBytes(bytes).toString("base64url");
    if (!id.startsWith("-")) return id;
  }
}
