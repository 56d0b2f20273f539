import { MicroError } from "../../base/error.ts";

/** A number of bytes that several holders may count together. */
interface Count {
  bytes: number;
}

/** The bytes of incomplete messages that the process holds, over all listeners. */
const ofProcess: Count = { bytes: 0 };

/** Counts the bytes of incomplete messages that a connection or the process may hold. */
export class IncompleteBytes {
  readonly limit: number;
  /** Names the holder in the error of a message for which there is no room. */
  readonly holder: string;
  readonly #count: Count;

  private constructor(limit: number, holder: string, count: Count) {
    this.limit = limit;
    this.holder = holder;
    this.#count = count;
  }

  static ofConnection(limit: number): IncompleteBytes {
    return new IncompleteBytes(limit, "its connection", { bytes: 0 });
  }

  /** Counts what all listeners of the process hold; each has its own limit for it. */
  static ofProcess(limit: number): IncompleteBytes {
    return new IncompleteBytes(limit, "the process", ofProcess);
  }

  /** The bytes that are held. */
  get bytes(): number {
    return this.#count.bytes;
  }

  hasRoomFor(bytes: number): boolean {
    return this.#count.bytes + bytes <= this.limit;
  }

  /** @param bytes negative for bytes that are released */
  change(bytes: number): void {
    this.#count.bytes += bytes;
  }
}

/**
 * Counts bytes of a message that is incomplete, negative for bytes that are released. Returns the
 * error if there is no room for them.
 */
export function holdIncomplete(
  holders: readonly IncompleteBytes[],
  bytes: number,
): MicroError | undefined {
  const full = bytes <= 0 ? undefined : holders.find((holder) => !holder.hasRoomFor(bytes));
  if (full !== undefined) return noRoom(full);
  for (const holder of holders) holder.change(bytes);
  return undefined;
}

function noRoom({ holder, limit }: IncompleteBytes): MicroError {
  return new MicroError(
    "resource_exhausted",
    `a request was refused: ${holder} has ${limit} bytes of requests that are not complete, which is its limit (maxIncompleteBytes); try again later`,
    {
      outcome: "not-executed",
      // Randomized, so that callers that were refused together do not retry together.
      retryAfterMs: 100 + Math.floor(Math.random() * 100),
    },
  );
}
