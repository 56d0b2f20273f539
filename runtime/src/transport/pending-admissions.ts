import { type Deadline, hasPassed, remainingMs } from "../base/deadline.ts";
import { MicroError } from "../base/error.ts";
import type { Identity } from "../call/account.ts";
import { deadlineExceeded } from "../call/call.ts";
import { codecError } from "./call-errors.ts";

/** Receives whether a caller is admitted. One of the two methods is called, once. */
export interface AdmissionReceiver {
  admitted(identity: Identity | undefined): void;
  /** @param error the response to the call, `not-executed` */
  refused(error: MicroError): void;
}

/** The most calls of a connection that wait at the same time. */
const maxWaiting = 1_024;
/** How long a call waits, in milliseconds. */
const longestWaitMs = 5_000;

/** The calls of one connection that wait until their callers are verified. */
export class PendingAdmissions {
  readonly #stops = new Set<() => void>();

  /** The number of calls that wait. */
  get size(): number {
    return this.#stops.size;
  }

  /**
   * Tells the receiver the result, unless the returned function is called first.
   *
   * @param deadline when the caller stops waiting, if nothing else watches that
   * @throws MicroError `resource_exhausted`, `not-executed`, if too many calls wait.
   */
  wait(
    identity: Promise<Identity | undefined>,
    receiver: AdmissionReceiver,
    deadline: Deadline = Number.POSITIVE_INFINITY,
  ): () => void {
    // A promise may outlive the call, so it does not keep it.
    let waiting: AdmissionReceiver | undefined = receiver;
    const stop = (): AdmissionReceiver | undefined => {
      const stopped = waiting;
      waiting = undefined;
      clearTimeout(timer);
      this.#stops.delete(stop);
      return stopped;
    };
    const timer = setTimeout(
      () => stop()?.refused(hasPassed(deadline) ? tooLate() : tooSlow()),
      Math.min(longestWaitMs, Math.ceil(remainingMs(deadline))),
    );
    identity.then(
      (found) => stop()?.admitted(found),
      (reason) => stop()?.refused(codecError(reason, "not-executed")),
    );
    if (this.#stops.size >= maxWaiting) {
      stop();
      throw tooMany();
    }
    this.#stops.add(stop);
    return stop;
  }

  /** Stops waiting, because the connection has ended. */
  clear(): void {
    for (const stop of this.#stops) stop();
  }
}

function tooLate(): MicroError {
  return deadlineExceeded("the call", "not-executed");
}

function tooSlow(): MicroError {
  return new MicroError(
    "unavailable",
    `the caller could not be verified within ${longestWaitMs} ms`,
    { outcome: "not-executed" },
  );
}

function tooMany(): MicroError {
  return new MicroError(
    "resource_exhausted",
    `more than ${maxWaiting} calls of the connection wait until their callers are verified`,
    { outcome: "not-executed" },
  );
}
