import { MicroError } from "./error.ts";

/** What metadata may be made from. A key that ends in `-bin` takes bytes, every other takes text. */
export type MetadataInit =
  | Metadata
  | Readonly<Record<string, string | Uint8Array>>
  | Iterable<readonly [key: string, value: string | Uint8Array]>;

/** The most that the keys and values of one metadata may measure together, in bytes. */
export const maxMetadataBytes: number = 16 * 1024;

/** The most entries that one metadata may have. */
export const maxMetadataEntries = 128;

const keyPattern = /^[0-9a-z_.-]+$/;
const textPattern = /^[\x20-\x7e]*$/;

/**
 * Key-value pairs that travel with a call, an answer or an event, beside the message.
 *
 * Keys are case-insensitive and kept in lower case: letters, digits, `-`, `_` and `.`. Values are visible
 * ASCII, or bytes where the key ends in `-bin` (gRPC's rule), so that they pass through every protocol
 * unchanged and nothing can be injected into one. A key may have several values.
 *
 * What came from the wire is decoded when it is first read, and what goes out is encoded once however
 * often it is sent, so metadata that nobody looks at costs nothing.
 */
export class Metadata {
  #entries: Map<string, (string | Uint8Array)[]> | undefined;
  #encoded: Uint8Array | undefined;

  /** @throws MicroError `invalid_argument` for a key or value that is not allowed. */
  constructor(init?: MetadataInit) {
    if (init === undefined) return;
    if (init instanceof Metadata) {
      this.#encoded = init.#encoded;
      if (init.#entries !== undefined) {
        this.#entries = new Map();
        for (const [key, values] of init.#entries) this.#entries.set(key, values.slice());
      }
      return;
    }
    const pairs = Symbol.iterator in init ? init : Object.entries(init);
    for (const [key, value] of pairs) this.append(key, value);
  }

  /**
   * Metadata from the bytes that {@link encode} makes. The bytes are kept and decoded on the first read;
   * only their size is checked now, so a malformed block fails at that read.
   *
   * @throws MicroError `resource_exhausted` when there are more than {@link maxMetadataBytes}.
   */
  static decode(bytes: Uint8Array): Metadata {
    if (bytes.length > maxMetadataBytes) throw tooLarge(bytes.length);
    const metadata = new Metadata();
    if (bytes.length > 0) metadata.#encoded = bytes;
    return metadata;
  }

  /** The first text value of a key; undefined when there is none or it is binary. */
  get(key: string): string | undefined {
    const value = this.#read().get(key.toLowerCase())?.[0];
    return typeof value === "string" ? value : undefined;
  }

  /** The first value of a `-bin` key. */
  getBinary(key: string): Uint8Array | undefined {
    const value = this.#read().get(key.toLowerCase())?.[0];
    return typeof value === "string" ? undefined : value;
  }

  /** All values of a key, in the order they were added. */
  getAll(key: string): readonly (string | Uint8Array)[] {
    return this.#read().get(key.toLowerCase()) ?? [];
  }

  has(key: string): boolean {
    return this.#read().has(key.toLowerCase());
  }

  /**
   * Replaces all values of a key.
   * @throws MicroError `invalid_argument` for a key or value that is not allowed.
   */
  set(key: string, value: string | Uint8Array): this {
    const name = key.toLowerCase();
    check(name, value);
    this.#change().set(name, [value]);
    return this;
  }

  /**
   * Adds a value to those a key has.
   * @throws MicroError `invalid_argument` for a key or value that is not allowed.
   */
  append(key: string, value: string | Uint8Array): this {
    const name = key.toLowerCase();
    check(name, value);
    const entries = this.#change();
    const values = entries.get(name);
    if (values === undefined) entries.set(name, [value]);
    else values.push(value);
    return this;
  }

  delete(key: string): boolean {
    return this.#change().delete(key.toLowerCase());
  }

  /** Adds the entries of another metadata; a key that both have takes the other's values. */
  assign(other: MetadataInit): this {
    const from = other instanceof Metadata ? other : new Metadata(other);
    if (from.isEmpty) return this;
    const source = from.#read();
    const entries = this.#change();
    for (const [key, values] of source) entries.set(key, values.slice());
    return this;
  }

  /** True when there is no entry. Costs nothing, even on metadata that was not decoded yet. */
  get isEmpty(): boolean {
    return this.#entries === undefined ? this.#encoded === undefined : this.#entries.size === 0;
  }

  /** Every key with every value, keys in the order they were first added. */
  *[Symbol.iterator](): IterableIterator<[key: string, value: string | Uint8Array]> {
    for (const [key, values] of this.#read()) for (const value of values) yield [key, value];
  }

  /** The text entries as an object, the first value of each key. For logs and for flat formats. */
  toObject(): Record<string, string> {
    const object: Record<string, string> = {};
    for (const [key, values] of this.#read()) {
      if (typeof values[0] === "string") object[key] = values[0];
    }
    return object;
  }

  /**
   * The wire form: for each value an unsigned 16-bit key length, the key, an unsigned 16-bit value length
   * and the value, big-endian (docs/wire-protocol.md, "Metadata"). The bytes are cached until the next
   * change and must not be written to.
   *
   * @throws MicroError `resource_exhausted` when it exceeds {@link maxMetadataBytes}.
   */
  encode(): Uint8Array {
    if (this.#encoded === undefined) this.#encoded = encodeEntries(this.#read());
    return this.#encoded;
  }

  #read(): Map<string, (string | Uint8Array)[]> {
    if (this.#entries === undefined) {
      this.#entries = this.#encoded === undefined ? new Map() : decodeEntries(this.#encoded);
    }
    return this.#entries;
  }

  #change(): Map<string, (string | Uint8Array)[]> {
    const entries = this.#read();
    this.#encoded = undefined;
    return entries;
  }
}

function check(key: string, value: string | Uint8Array): void {
  if (!keyPattern.test(key) || key.length > 256) {
    throw new MicroError(
      "invalid_argument",
      `metadata key ${JSON.stringify(key.slice(0, 64))} is not allowed: use 1 to 256 of a-z, 0-9, "-", "_" and "."`,
      { outcome: "not-executed" },
    );
  }
  const binary = key.endsWith("-bin");
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

function encodeEntries(entries: ReadonlyMap<string, readonly (string | Uint8Array)[]>): Uint8Array {
  let size = 0;
  for (const [key, values] of entries) {
    for (const value of values) size += 4 + key.length + value.length;
  }
  if (size > maxMetadataBytes) throw tooLarge(size);
  const bytes = Buffer.allocUnsafe(size);
  let at = 0;
  for (const [key, values] of entries) {
    for (const value of values) {
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
  }
  return bytes;
}

function decodeEntries(bytes: Uint8Array): Map<string, (string | Uint8Array)[]> {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const entries = new Map<string, (string | Uint8Array)[]>();
  let at = 0;
  let count = 0;
  const block = (): Buffer => {
    const start = at + 2;
    const end = start > buffer.length ? start : start + buffer.readUInt16BE(at);
    if (end > buffer.length) {
      throw new MicroError("invalid_argument", `metadata ends inside an entry at byte ${at}`);
    }
    at = end;
    return buffer.subarray(start, end);
  };
  while (at < buffer.length) {
    if (++count > maxMetadataEntries) {
      throw new MicroError(
        "resource_exhausted",
        `metadata has more than ${maxMetadataEntries} entries`,
      );
    }
    const key = block().toString("latin1");
    const raw = block();
    const value = key.endsWith("-bin") ? new Uint8Array(raw) : raw.toString("latin1");
    check(key, value);
    const values = entries.get(key);
    if (values === undefined) entries.set(key, [value]);
    else values.push(value);
  }
  return entries;
}

function tooLarge(size: number): MicroError {
  return new MicroError(
    "resource_exhausted",
    `metadata of ${size} bytes is over the limit of ${maxMetadataBytes}; put large values into the message`,
    { outcome: "not-executed" },
  );
}
