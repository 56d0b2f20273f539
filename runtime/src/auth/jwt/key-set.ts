import { MicroError } from "../../base/error.ts";
import { parseJson } from "../../base/json-syntax.ts";
import type { AuthAlgorithm } from "../auth.ts";
import { isTable } from "../token-form.ts";
import { readJwk, type VerificationKey } from "../verification-key.ts";

/** The usable keys of a JSON Web Key Set by their `kid`, and what was left out. */
export interface KeySet {
  readonly keys: ReadonlyMap<string, VerificationKey>;
  /** Why keys must not be used, a sentence for each. */
  readonly problems: readonly string[];
}

const maxKeys = 64;

/**
 * Reads a JSON Web Key Set. Keys for other purposes are ignored. A bad key, such as a private one
 * or one of two with the same `kid`, is left out and the others are used: refusing the whole set
 * would keep the previous one in force, in which the key may still be trusted.
 *
 * @throws MicroError `invalid_argument` if it is not a key set, or one with more than 64 keys.
 */
export function readKeySet(text: string, algorithms: readonly AuthAlgorithm[]): KeySet {
  const result = parseJson(text);
  if ("problem" in result) throw notKeySet(`it is not JSON: ${result.problem.reason}`);
  const { value } = result;
  if (!isTable(value) || !Array.isArray(value.keys)) throw notKeySet("it has no list of keys");
  return readKeys(value.keys, algorithms);
}

/** @throws MicroError `invalid_argument` for more than 64 keys. */
export function readKeys(jwks: readonly unknown[], algorithms: readonly AuthAlgorithm[]): KeySet {
  if (jwks.length > maxKeys) {
    throw notKeySet(`it has ${jwks.length} keys, and ${maxKeys} are the most`);
  }
  const byId = new Map<string, VerificationKey>();
  const ambiguous = new Set<string>();
  const problems: string[] = [];
  for (const [index, jwk] of jwks.entries()) {
    const reading = readJwk(jwk);
    if ("bad" in reading) problems.push(`key ${index + 1} must not be used: ${reading.bad}`);
    if (!("key" in reading) || !algorithms.includes(reading.key.algorithm)) continue;
    const { key } = reading;
    if (byId.has(key.id!)) ambiguous.add(key.id!);
    byId.set(key.id!, key);
  }
  for (const id of ambiguous) {
    byId.delete(id);
    problems.push(`several keys have the kid ${JSON.stringify(id)}; none of them is used`);
  }
  return { keys: byId, problems };
}

function notKeySet(reason: string): MicroError {
  return new MicroError("invalid_argument", `the key set cannot be used: ${reason}`, {
    outcome: "not-executed",
  });
}
