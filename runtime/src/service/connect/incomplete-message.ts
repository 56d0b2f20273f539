import { BodyDeadline } from "../../transport/body-deadline.ts";
import { holdIncomplete, type IncompleteBytes } from "../../transport/http/incomplete-bytes.ts";
import { toConnectError } from "./connect-error.ts";
import type { MessageWatch } from "./joined-pieces.ts";

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
    const full = holdIncomplete(this.#holders, takenBytes);
    if (full !== undefined) throw toConnectError(full);
    this.#held += takenBytes;
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
    holdIncomplete(this.#holders, -this.#held);
    this.#held = 0;
  }
}
