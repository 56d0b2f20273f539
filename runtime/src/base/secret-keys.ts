import type { OptionKind } from "./option-check.ts";

/** Keys of metadata with which a caller, or its browser, proves who it is. */
const credentialKeys: readonly string[] = [
  "authorization",
  "proxy-authorization",
  "cookie",
  "set-cookie",
];

/** Whether the values of a metadata key, in lower case, must not be shown. */
export function isSecretKey(key: string): boolean {
  return credentialKeys.includes(key) || key.endsWith("-token");
}

/** Keys of metadata that handlers pass on in the calls that they make. */
export const propagatedKeys: OptionKind = {
  words:
    'a list of strings without "authorization" and "cookie", which would give the credential of a caller to every service that its handler calls: give the client credentials of its own',
  accepts: (value) =>
    Array.isArray(value) &&
    value.every((key) => typeof key === "string" && !credentialKeys.includes(key.toLowerCase())),
};
