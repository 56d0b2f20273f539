import { untilAborted } from "../base/abort.ts";
import { remainingMs } from "../base/deadline.ts";
import { MicroError } from "../base/error.ts";
import { checkOptions } from "../base/option-check.ts";
import { cancelledBy } from "./call-errors.ts";
import { dialKinds } from "./option-kinds.ts";
import type { DialOptions } from "./transport.ts";

/** The longest delay that a Node timer supports. */
const longestTimerMs = 2 ** 31 - 1;

/** Returns the error of a dial whose signal was aborted. */
export function dialCancelled(address: string, reason: unknown): MicroError {
  return cancelledBy(reason, `dialling ${address}`, "not-executed");
}

/** Returns the error of a dial that did not succeed by its deadline. */
export function dialTooLate(address: string): MicroError {
  return new MicroError("deadline_exceeded", `${address} was not reached by the deadline`, {
    outcome: "not-executed",
  });
}

/**
 * @throws MicroError `invalid_argument` for invalid options, `canceled` or `deadline_exceeded` if
 * the signal is aborted or the deadline has passed.
 */
export function checkDial(address: string, options: DialOptions): void {
  checkOptions(() => `dial ${address}`, options, dialKinds);
  const { signal, deadline = Number.POSITIVE_INFINITY } = options;
  if (signal?.aborted === true) throw dialCancelled(address, signal.reason);
  if (remainingMs(deadline) <= 0) throw dialTooLate(address);
}

/**
 * Settles as the promise does, unless the signal or the deadline of the dial comes first.
 * @param late closes a connection that opened after that. It must not throw or reject.
 * @throws MicroError `canceled` or `deadline_exceeded`, not executed.
 */
export async function withinDialLimits<T>(
  opening: Promise<T>,
  address: string,
  { signal, deadline = Number.POSITIVE_INFINITY }: DialOptions,
  late: (opened: T) => unknown,
): Promise<T> {
  const timeout = new AbortController();
  const patienceMs = remainingMs(deadline);
  let timer: NodeJS.Timeout | undefined;
  if (patienceMs <= 0) timeout.abort(dialTooLate(address));
  else if (patienceMs <= longestTimerMs) {
    timer = setTimeout(() => timeout.abort(dialTooLate(address)), Math.ceil(patienceMs));
  }
  try {
    return await untilAborted(opening, [signal, timeout.signal], {
      error: (reason) =>
        reason === timeout.signal.reason ? reason : dialCancelled(address, reason),
      late,
    });
  } finally {
    clearTimeout(timer);
  }
}
