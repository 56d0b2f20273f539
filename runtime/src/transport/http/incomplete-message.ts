import { MicroError } from "../../base/error.ts";
import { BodyDeadline } from "../body-deadline.ts";
import type { MessageWatch } from "./joined-pieces.ts";
import { toConnectError } from "./status.ts";

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

  hasRoomFor(bytes: number): boolean {
    return this.#count.bytes + bytes <= this.limit;
  }

  /** @param bytes negative for bytes that are released */
  change(bytes: number): void {
    this.#count.bytes += bytes;
  }
}

/**
 * Tracks the message of a request while it is being received: it must be complete in time, and its
 * received bytes must find room. The gaps between the messages of a stream are not timed.
 */
export class IncompleteMessage implements MessageWatch {
  readonly #holders: readonly IncompleteBytes[];
  readonly #deadline: BodyDeadline;
  #held = 0;
  #onLate: ((error: Error) => void) | undefined;

  /**
   * @param holders count the bytes, such as the connection and the process
   * @param graceMs the time for a message in addition to what its size allows
   */
  constructor(holders: readonly IncompleteBytes[], graceMs: number) {
    this.#holders = holders;
    this.#deadline = new BodyDeadline(graceMs, (error) => this.#onLate?.(toConnectError(error)));
  }

  hold(bytes: number, takenBytes: number): void {
    const full = this.#holders.find((holder) => !holder.hasRoomFor(takenBytes));
    if (full !== undefined) throw toConnectError(noRoom(full));
    this.#change(takenBytes);
    this.#deadline.received(bytes);
  }

  await<T>(more: Promise<T>): Promise<T> {
    if (!this.#deadline.running) this.#deadline.begin();
    return new Promise((resolve, reject) => {
      this.#onLate = reject;
      more.then(resolve, reject);
    });
  }

  /** The message is complete, or its request has ended. */
  end(): void {
    this.#deadline.end();
    this.#onLate = undefined;
    this.#change(-this.#held);
  }

  #change(bytes: number): void {
    this.#held += bytes;
    for (const holder of this.#holders) holder.change(bytes);
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
