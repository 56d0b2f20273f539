import { parseJson } from "../base/json-syntax.ts";
import { maxTokenLength } from "../transport/admission.ts";
import { invalidCredential } from "./refusals.ts";

/** A table of a token, whose values have not been checked. */
export type TokenTable = Readonly<Record<string, unknown>>;

/** A signed token whose form is valid; nothing in it has been verified yet. */
export interface TokenForm {
  readonly header: TokenTable;
  readonly claims: TokenTable;
  readonly signature: Uint8Array;
}

/** The longest header, in characters of base64url. */
const maxHeaderLength = 1_024;

/**
 * Headers that name a key, or that change what is signed. A verifier that follows one of them lets
 * the token choose its key, or an address to fetch it from.
 */
const refusedHeaders = ["jku", "jwk", "x5u", "x5c", "crit", "b64", "enc", "zip"] as const;

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Whether a credential looks like a token of this form at all, valid or not. */
export function isDotted(token: string): boolean {
  return token.includes(".");
}

/**
 * Parses a signed token (JWS compact serialization) strictly. Other verifiers accept several
 * spellings of one signature, and keep the last of two claims with the same name; here, there is
 * one text for each token.
 *
 * @throws MicroError `unauthenticated` with the reason.
 */
export function parseToken(token: string): TokenForm {
  if (token.length > maxTokenLength) {
    throw invalidCredential(`the token has more than ${maxTokenLength} characters`);
  }
  const parts = token.split(".", 6);
  if (parts.length === 5) throw invalidCredential("encrypted tokens (JWE) are not accepted");
  if (parts.length !== 3) {
    throw invalidCredential("the token does not have three parts separated by dots");
  }
  const [headerText, claimsText, signatureText] = parts as [string, string, string];
  if (headerText.length > maxHeaderLength) {
    throw invalidCredential(`the header has more than ${maxHeaderLength} characters`);
  }
  const header = tableOf(headerText, "header");
  for (const name of refusedHeaders) {
    if (Object.hasOwn(header, name)) {
      throw invalidCredential(`the header must not have ${name}`);
    }
  }
  const claims = tableOf(claimsText, "payload");
  return { header, claims, signature: bytesOf(signatureText, "signature") };
}

/** The bytes of a part, which must be written in the one way that encoding them gives. */
function bytesOf(text: string, what: string): Buffer {
  if (text === "") throw invalidCredential(`the ${what} is empty`);
  const bytes = Buffer.from(text, "base64url");
  if (bytes.toString("base64url") !== text) {
    throw invalidCredential(`the ${what} is not canonical base64url`);
  }
  return bytes;
}

function tableOf(text: string, what: string): TokenTable {
  const bytes = bytesOf(text, what);
  let json: string;
  try {
    json = utf8.decode(bytes);
  } catch {
    throw invalidCredential(`the ${what} is not UTF-8`);
  }
  const result = parseJson(json);
  if ("problem" in result) {
    throw invalidCredential(`the ${what} is not accepted as JSON: ${result.problem.reason}`);
  }
  const { value } = result;
  if (!isTable(value)) throw invalidCredential(`the ${what} is not a JSON object`);
  if (Object.hasOwn(value, "__proto__")) {
    throw invalidCredential(`the ${what} must not have __proto__`);
  }
  return value;
}

/** Whether a JSON value is an object. */
export function isTable(value: unknown): value is TokenTable {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
