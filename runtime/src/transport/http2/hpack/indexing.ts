/** Fields that hold secrets, which can be guessed (RFC 7541 section 7.1.3). */
const secrets: ReadonlySet<string> = new Set([
  "authorization",
  "cookie",
  "proxy-authorization",
  "set-cookie",
]);

/**
 * A shorter credential enters no table. The sizes of blocks tell an attacker who can add fields to
 * a connection whether a guess is the whole value, which is of no use for a longer one. Sent as a
 * literal, a token would cost more than the rest of its call.
 */
const shortestIndexedCredential = 32;

/** Fields whose value is rarely the same twice, so that a place in the table would be wasted. */
const changing: ReadonlySet<string> = new Set([
  "age",
  "connect-timeout-ms",
  "content-length",
  "content-range",
  "date",
  "etag",
  "expires",
  "grpc-message",
  "grpc-status-details-bin",
  "grpc-timeout",
  "if-modified-since",
  "if-none-match",
  "if-range",
  "last-modified",
  "location",
  "traceparent",
  "tracestate",
  "x-request-id",
]);

/**
 * Whether an encoder adds a field to its table. With `name`, it does so only for the sake of the
 * name, if no table has that.
 */
export type Indexing = "field" | "name" | "never";

export function indexingOf(name: string, value: string): Indexing {
  if (changing.has(name)) return "name";
  if (secrets.has(name)) {
    const isLong = value.length >= shortestIndexedCredential;
    return isLong && name === "authorization" ? "field" : "never";
  }
  return name === ":path" && value.includes("?") ? "name" : "field";
}

/** So many additions that were not used again show that the values of a name change. */
const trialAdditions = 16;

/** The fields of one name in an encoder's table, and whether it was worth adding them. */
export class NameHistory {
  /** The number of the field with each value. */
  readonly values: Map<string, number> = new Map();
  /** The number of the newest field that is still in the table. */
  newest: number | undefined;
  /** How often a field of the table was used. */
  hits = 0;
  #additions = 0;

  /** Whether another field may be added to the table. */
  mayAdd(indexing: Indexing, isStaticName: boolean): boolean {
    if (indexing === "name") return this.newest === undefined && !isStaticName;
    if (indexing === "never") return false;
    return this.#additions < trialAdditions || this.#additions < this.hits;
  }

  add(value: string, number: number): void {
    this.#additions++;
    this.values.set(value, number);
    this.newest = number;
  }

  /** Handles that the field with a number was evicted. */
  remove(value: string, number: number): void {
    if (this.values.get(value) === number) this.values.delete(value);
    if (this.newest === number) this.newest = undefined;
  }
}
