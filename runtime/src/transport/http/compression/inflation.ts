import { promisify } from "node:util";
import { brotliDecompress, gunzip } from "node:zlib";
import { MicroError, messageOf } from "../../../base/error.ts";

/** The default limit on the inflation ratio of messages, the same as Envoy's. */
export const defaultInflationRatio = 100;

/**
 * The size to which the messages of a call may always inflate, in bytes: repetitive text is not an
 * attack. gRPC's interoperability tests send 314,159 zeros.
 */
const freeBytes = 320 * 1024;

/**
 * The elements that the messages of a call may always have, and those allowed for each compressed
 * byte.
 */
const freeElements = 8_192;
const elementsPerByte = 8;

/**
 * Bytes to which messages of the whole process may inflate at the same time: as many messages of 4
 * MiB as Node's thread pool inflates concurrently.
 */
const mostAtOnce = 16 * 1024 * 1024;

/** How much the messages of one call may inflate, in one direction. */
export class InflationAllowance {
  readonly #maxRatio: number;
  #compressed = 0;
  #inflated = 0;
  #elements = 0;

  constructor(maxRatio: number = defaultInflationRatio) {
    this.#maxRatio = maxRatio;
  }

  /**
   * Returns the number of elements that this many compressed bytes allow the messages of a call.
   */
  static elementsOf(compressedBytes: number): number {
    return compressedBytes * elementsPerByte;
  }

  /** The compressed bytes of all messages so far. */
  get compressedBytes(): number {
    return this.#compressed;
  }

  /**
   * Returns the size to which the next message may inflate if it has this many compressed bytes.
   */
  mostBytes(compressedBytes: number): number {
    const compressed = this.#compressed + compressedBytes;
    return Math.max(freeBytes, compressed * this.#maxRatio) - this.#inflated;
  }

  /**
   * Returns the number of elements that the next message may have if it has this many compressed
   * bytes.
   */
  mostElements(compressedBytes: number): number {
    const compressed = this.#compressed + compressedBytes;
    return freeElements + InflationAllowance.elementsOf(compressed) - this.#elements;
  }

  use(compressedBytes: number, inflatedBytes: number): void {
    this.#compressed += compressedBytes;
    this.#inflated += inflatedBytes;
  }

  useElements(elements: number): void {
    this.#elements += elements;
  }
}

type Inflate = (bytes: Uint8Array, options: { maxOutputLength: number }) => Promise<Uint8Array>;

/** The inflate function of each algorithm, by name. */
const algorithms: ReadonlyMap<string, Inflate> = new Map([
  ["gzip", promisify(gunzip) as Inflate],
  ["br", promisify(brotliDecompress) as Inflate],
]);

/** Whether messages compressed with this algorithm can be inflated. */
export function canInflate(algorithm: string): boolean {
  return algorithms.has(algorithm);
}

/** Inflates the messages of one call, in proportion to what its peer has sent. */
export class CallInflation {
  readonly #maxBytes: number;
  readonly #maxRatio: number;
  readonly #over: () => MicroError | undefined;
  readonly #allowance: InflationAllowance;

  /**
   * @param maxBytes the largest message
   * @param over returns why no caller is waiting for the call any longer; undefined while one is
   */
  constructor(maxBytes: number, maxRatio: number, over: () => MicroError | undefined) {
    this.#maxBytes = maxBytes;
    this.#maxRatio = maxRatio;
    this.#allowance = new InflationAllowance(maxRatio);
    this.#over = over;
  }

  /**
   * @throws MicroError `resource_exhausted` for a message that becomes too large,
   * `invalid_argument` for bytes that the algorithm cannot inflate, and the reason of a call that
   * has ended before its turn comes.
   */
  async inflate(algorithm: string, bytes: Uint8Array): Promise<Uint8Array> {
    if (bytes.length === 0) return bytes;
    const most = Math.min(this.#maxBytes, this.#allowance.mostBytes(bytes.length));
    if (most <= 0) throw this.#tooLarge(most);
    const share = Math.min(most, mostAtOnce);
    await turns.take(share);
    try {
      const over = this.#over();
      if (over !== undefined) throw over;
      const inflated = await algorithms.get(algorithm)!(bytes, { maxOutputLength: most });
      this.#allowance.use(bytes.length, inflated.length);
      return inflated;
    } catch (cause) {
      if (cause instanceof MicroError) throw cause;
      if ((cause as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE") {
        throw this.#tooLarge(most);
      }
      throw new MicroError(
        "invalid_argument",
        `a message does not inflate by ${algorithm}: ${messageOf(cause)}`,
        { cause },
      );
    } finally {
      turns.giveBack(share);
    }
  }

  /**
   * Counts the elements of the last inflated message. Elements compress best, and cost the most.
   *
   * @param count counts the elements, and throws if they exceed what the messages of the call may
   * still have.
   * @throws MicroError `resource_exhausted`
   */
  countElements(count: (most: number) => number): void {
    try {
      this.#allowance.useElements(count(this.#allowance.mostElements(0)));
    } catch (cause) {
      if ((cause as Partial<MicroError>).code !== "resource_exhausted") throw cause;
      throw new MicroError(
        "resource_exhausted",
        `the messages of the call have more than ${freeElements} elements and ${elementsPerByte} for each of their ${this.#allowance.compressedBytes} compressed bytes; send them without compression`,
        { cause },
      );
    }
  }

  #tooLarge(most: number): MicroError {
    return new MicroError(
      "resource_exhausted",
      most === this.#maxBytes
        ? `a message has more than ${most} bytes once it is inflated; send less, send a stream, or raise maxMessageBytes of the receiver`
        : `the messages of the call became more than ${this.#maxRatio} times larger by inflating; compress less, or raise maxInflationRatio of the receiver`,
    );
  }
}

/** Inflates messages in order, as many concurrently as the reserved memory allows. */
class Turns {
  #free = mostAtOnce;
  readonly #waiting: { readonly bytes: number; begin(): void }[] = [];

  take(bytes: number): Promise<void> | undefined {
    if (this.#waiting.length === 0 && bytes <= this.#free) {
      this.#free -= bytes;
      return undefined;
    }
    return new Promise((begin) => this.#waiting.push({ bytes, begin }));
  }

  giveBack(bytes: number): void {
    this.#free += bytes;
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      if (first.bytes > this.#free) return;
      this.#waiting.shift();
      this.#free -= first.bytes;
      first.begin();
    }
  }
}

const turns = new Turns();
