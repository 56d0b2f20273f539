import { MicroError } from "./error.ts";
import { isSecretKey } from "./secret-keys.ts";

/**
 * Initial entries of a metadata. A key that ends in `-bin` has bytes as its value, any other key
 * text.
 */
export type MetadataInit =
  | Metadata
  | Readonly<Record<string, string | Uint8Array>>
  | Iterable<readonly [key: string, value: string | Uint8Array]>;

/** Maximum total size of the keys and values of one metadata, in bytes. */
export const maxMetadataBytes: number = 16 * 1024;

/** Maximum number of entries of one metadata. */
export const maxMetadataEntries = 128;

const keyPattern = /^[0-9a-z_.-]+$/;
const textPattern = /^[\x20-\x7e]*$/;

/**
 * Key-value pairs that travel with a call, a response or an event, next to the message.
 *
 * Keys are case-insensitive and kept in lower case: letters, digits, `-`, `_` and `.`. Values are
 * visible ASCII, or bytes where the key ends in `-bin` (gRPC's rule), so they pass through every
 * protocol unchanged and cannot be used for injection. A key may have several values.
 *
 * Received metadata is decoded on first read, and metadata to send is encoded once however often it
 * is sent, so metadata that is never read costs nothing.
 *
 * @example
 * ```ts
 * import { Metadata } from "@micro-es/runtime";
 *
 * const metadata = new Metadata({ tenant: "acme" });
 * metadata.get("tenant"); // "acme"
 * ```
 */
export class Metadata {
  /** The key of each value; the values of one key are adjacent. Undefined until the first read. */
  #keys: string[] | undefined;
  /**
   * The values; a number is the value's position in {@link #block}, until the value is requested.
   */
  #values: (string | Uint8Array | number)[] = noValues;
  #block: Buffer | undefined;
  #encoded: Uint8Array | undefined;

  /** @throws MicroError `invalid_argument` for a key or value that is not allowed. */
  constructor(init?: MetadataInit) {
    if (init === undefined) return;
    if (init instanceof Metadata) {
      this.#encoded = init.#encoded;
      this.#keys = init.#keys?.slice();
      this.#values = init.#values.slice();
      this.#block = init.#block;
      return;
    }
    const pairs = Symbol.iterator in init ? init : Object.entries(init);
    for (const [key, value] of pairs) this.append(key, value);
  }

  /**
   * Metadata from the bytes that {@link encode} makes. The bytes are kept and decoded on first
   * read; only their size is checked here, so a malformed block fails at that read.
   *
   * @throws MicroError `resource_exhausted` when there are more than {@link maxMetadataBytes}.
   */
  static decode(bytes: Uint8Array): Metadata {
    if (bytes.length > maxMetadataBytes) throw tooLarge(bytes.length);
    const metadata = new Metadata();
    if (bytes.length > 0) metadata.#encoded = bytes;
    return metadata;
  }

  /** The first text value of a key; undefined if there is none or it is binary. */
  get(key: string): string | undefined {
    const value = this.#first(key);
    return typeof value === "string" ? value : undefined;
  }

  /** The first value of a `-bin` key. */
  getBinary(key: string): Uint8Array | undefined {
    const value = this.#first(key);
    return typeof value === "string" ? undefined : value;
  }

  /** All values of a key, in the order they were added. */
  getAll(key: string): readonly (string | Uint8Array)[] {
    const name = key.toLowerCase();
    const keys = this.#read();
    const all: (string | Uint8Array)[] = [];
    let at = keys.indexOf(name);
    if (at >= 0) while (keys[at] === name) all.push(this.#value(at++));
    return all;
  }

  has(key: string): boolean {
    return this.#read().includes(key.toLowerCase());
  }

  /**
   * Replaces all values of a key.
   * @throws MicroError `invalid_argument` for a key or value that is not allowed,
   * `resource_exhausted` when there are already {@link maxMetadataEntries}.
   */
  set(key: string, value: string | Uint8Array): this {
    const name = key.toLowerCase();
    check(name, value);
    this.#replace(this.#change(), name, value);
    return this;
  }

  /**
   * Adds a value to those of a key.
   * @throws MicroError `invalid_argument` for a key or value that is not allowed,
   * `resource_exhausted` when there are already {@link maxMetadataEntries}.
   */
  append(key: string, value: string | Uint8Array): this {
    const name = key.toLowerCase();
    check(name, value);
    insert(this.#change(), this.#values, name, value);
    return this;
  }

  delete(key: string): boolean {
    const name = key.toLowerCase();
    const keys = this.#change();
    const at = keys.indexOf(name);
    if (at < 0) return false;
    const count = keys.lastIndexOf(name) - at + 1;
    keys.splice(at, count);
    this.#values.splice(at, count);
    return true;
  }

  /**
   * Adds the entries of another metadata; for a key that both have, its values replace the present
   * ones.
   */
  assign(other: MetadataInit): this {
    const from = other instanceof Metadata ? other : new Metadata(other);
    if (from.isEmpty) return this;
    const source = from.#read();
    const keys = this.#change();
    for (const [index, key] of source.entries()) {
      const value = from.#value(index);
      if (key === source[index - 1]) insert(keys, this.#values, key, value);
      else this.#replace(keys, key, value);
    }
    return this;
  }

  /** True if there are no entries. Costs nothing, even before the metadata is decoded. */
  get isEmpty(): boolean {
    return this.#keys === undefined ? this.#encoded === undefined : this.#keys.length === 0;
  }

  /** Every key with every value, in the order in which the keys were first added. */
  *[Symbol.iterator](): IterableIterator<[key: string, value: string | Uint8Array]> {
    for (const [index, key] of this.#read().entries()) yield [key, this.#value(index)];
  }

  /**
   * The text entries as an object with the first value of each key, for logs. Credentials, such as
   * the value of `authorization`, are replaced by `[hidden]`; {@link get} returns them.
   */
  toObject(): Record<string, string> {
    const object: Record<string, string> = {};
    const keys = this.#read();
    for (const [index, key] of keys.entries()) {
      if (key === keys[index - 1]) continue;
      const value = this.#value(index);
      if (typeof value === "string") object[key] = isSecretKey(key) ? hidden : value;
    }
    return object;
  }

  /** As {@link toObject}. */
  toJSON(): Record<string, string> {
    return this.toObject();
  }

  /**
   * The wire form: for each value an unsigned 16-bit key length, the key, an unsigned 16-bit value
   * length and the value, big-endian (docs/wire-protocol.md, "Metadata"). The bytes are cached
   * until the next change and must not be written to.
   *
   * @throws MicroError `resource_exhausted` when it exceeds {@link maxMetadataBytes}.
   */
  encode(): Uint8Array {
    if (this.#encoded === undefined) {
      const keys = this.#read();
      this.#encoded = encodeEntries(
        keys,
        keys.map((_, index) => this.#value(index)),
      );
    }
    return this.#encoded;
  }

  /** The keys, decoded on first use. */
  #read(): string[] {
    if (this.#keys !== undefined) return this.#keys;
    const keys: string[] = [];
    const values: (string | Uint8Array | number)[] = [];
    const encoded = this.#encoded;
    if (encoded !== undefined) {
      this.#block = Buffer.from(encoded.buffer, encoded.byteOffset, encoded.length);
      readBlock(encoded, keys, values);
    }
    this.#values = values;
    this.#keys = keys;
    return keys;
  }

  #change(): string[] {
    const keys = this.#read();
    this.#encoded = undefined;
    return keys;
  }

  #first(key: string): string | Uint8Array | undefined {
    const at = this.#read().indexOf(key.toLowerCase());
    return at < 0 ? undefined : this.#value(at);
  }

  #value(index: number): string | Uint8Array {
    const value = this.#values[index]!;
    if (typeof value !== "number") return value;
    const block = this.#block!;
    const start = value + 2;
    const end = start + block.readUInt16BE(value);
    const decoded = isBinary(this.#keys![index]!)
      ? new Uint8Array(block.subarray(start, end))
      : block.toString("latin1", start, end);
    this.#values[index] = decoded;
    return decoded;
  }

  #replace(keys: string[], key: string, value: string | Uint8Array): void {
    const at = keys.indexOf(key);
    if (at < 0) {
      checkRoom(keys);
      keys.push(key);
      this.#values.push(value);
      return;
    }
    const more = keys.lastIndexOf(key) - at;
    keys.splice(at + 1, more);
    this.#values.splice(at, more + 1, value);
  }
}

// Called by console.log and util.inspect, which must not fail for metadata that is malformed.
Object.defineProperty(Metadata.prototype, Symbol.for("nodejs.util.inspect.custom"), {
  value(this: Metadata): string {
    try {
      return `Metadata ${JSON.stringify(this)}`;
    } catch {
      return "Metadata (malformed)";
    }
  },
});

/** Shown in place of a credential. */
const hidden = "[hidden]";

const noValues: (string | Uint8Array | number)[] = [];

/** Inserts a value after the others of its key. */
function insert(
  keys: string[],
  values: (string | Uint8Array | number)[],
  key: string,
  value: string | Uint8Array | number,
): void {
  checkRoom(keys);
  const last = keys.lastIndexOf(key);
  if (last < 0 || last === keys.length - 1) {
    keys.push(key);
    values.push(value);
    return;
  }
  keys.splice(last + 1, 0, key);
  values.splice(last + 1, 0, value);
}

function checkRoom(keys: readonly string[]): void {
  if (keys.length < maxMetadataEntries) return;
  throw new MicroError(
    "resource_exhausted",
    `metadata has more than ${maxMetadataEntries} entries; join values, or put them into the message`,
    { outcome: "not-executed" },
  );
}

function isBinary(key: string): boolean {
  return key.endsWith("-bin");
}

function checkKey(key: string): void {
  if (!keyPattern.test(key) || key.length > 256) {
    throw new MicroError(
      "invalid_argument",
      `metadata key ${JSON.stringify(key.slice(0, 64))} is not allowed: use 1 to 256 of a-z, 0-9, "-", "_" and "."`,
      { outcome: "not-executed" },
    );
  }
}

function check(key: string, value: string | Uint8Array): void {
  checkKey(key);
  const binary = isBinary(key);
  if (binary ? typeof value === "string" : typeof value !== "string") {
    throw new MicroError(
      "invalid_argument",
      binary
        ? `metadata ${key} takes a Uint8Array, because its key ends in -bin`
        : `metadata ${key} takes text; for bytes use a key that ends in -bin`,
      { outcome: "not-executed" },
    );
  }
  if (typeof value === "string" && !textPattern.test(value)) {
    throw new MicroError(
      "invalid_argument",
      `metadata ${key} has a character that is not visible ASCII; put such text into ${key}-bin`,
      { outcome: "not-executed" },
    );
  }
}

function encodeEntries(
  keys: readonly string[],
  values: readonly (string | Uint8Array)[],
): Uint8Array {
  let size = 0;
  for (const [index, key] of keys.entries()) size += 4 + key.length + values[index]!.length;
  if (size > maxMetadataBytes) throw tooLarge(size);
  const bytes = Buffer.allocUnsafe(size);
  let at = 0;
  for (const [index, key] of keys.entries()) {
    const value = values[index]!;
    at = bytes.writeUInt16BE(key.length, at);
    at += bytes.write(key, at, "latin1");
    at = bytes.writeUInt16BE(value.length, at);
    if (typeof value === "string") {
      at += bytes.write(value, at, "latin1");
    } else {
      bytes.set(value, at);
      at += value.length;
    }
  }
  return bytes;
}

/**
 * Reads the keys of a block and the positions of their values. The whole block is checked here, so
 * that reading a value later cannot fail; values become strings on request, since most are never
 * read.
 */
function readBlock(
  block: Uint8Array,
  keys: string[],
  values: (string | Uint8Array | number)[],
): void {
  let at = 0;
  while (at < block.length) {
    const keyEnd = entryEnd(block, at);
    const key = keyOf(block, at + 2, keyEnd);
    at = entryEnd(block, keyEnd);
    if (!isBinary(key)) checkText(block, keyEnd + 2, at, key);
    insert(keys, values, key, keyEnd);
  }
}

/** The end of the length-prefixed entry at `at`. */
function entryEnd(block: Uint8Array, at: number): number {
  const start = at + 2;
  const end = start > block.length ? start : start + ((block[at]! << 8) | block[at + 1]!);
  if (end <= block.length) return end;
  throw new MicroError("invalid_argument", `metadata ends inside an entry at byte ${at}`);
}

function checkText(block: Uint8Array, start: number, end: number, key: string): void {
  for (let at = start; at < end; at++) {
    const byte = block[at]!;
    if (byte < 0x20 || byte > 0x7e) check(key, "\0");
  }
}

/**
 * Recently read keys: callers send the same ones with every call. Indexed by hash; a later key
 * overwrites.
 */
const knownKeys = new Array<string>(256).fill("");

/** A key, after validation. */
function keyOf(block: Uint8Array, start: number, end: number): string {
  let hash = 0;
  for (let at = start; at < end; at++) hash = (hash * 31 + block[at]!) | 0;
  const known = knownKeys[hash & 0xff]!;
  if (known.length === end - start && known !== "") {
    let same = 0;
    while (same < known.length && known.charCodeAt(same) === block[start + same]) same++;
    if (same === known.length) return known;
  }
  const key = Buffer.from(block.buffer, block.byteOffset + start, end - start).toString("latin1");
  checkKey(key);
  knownKeys[hash & 0xff] = key;
  return key;
}

function tooLarge(size: number): MicroError {
  return new MicroError(
    "resource_exhausted",
    `metadata of ${size} bytes is over the limit of ${maxMetadataBytes}; put large values into the message`,
    { outcome: "not-executed" },
  );
}
