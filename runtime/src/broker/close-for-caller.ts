import type { Logger } from "../base/logger.ts";
import type { Subscription } from "./broker.ts";
import { LocalSubscription } from "./local-subscription.ts";

/**
 * What the caller waits for that closes a broker, or a service with its subscriptions. A
 * handler of one of them waits until all others have ended, except those that wait as well. Its own
 * event is settled once it has returned, and only then is released what settles events.
 * @param closing the complete close, which has begun.
 * @param grace limits how long a handler waits for others that hang; without it, only the
 * subscriptions limit that.
 */
export function closeForCaller(
  closing: Promise<void>,
  subscriptions: Iterable<Subscription>,
  logger: Logger,
  grace?: { wait(work: Promise<unknown>): Promise<void> },
): Promise<void> {
  const all = [...subscriptions].filter((each) => each instanceof LocalSubscription);
  const own = all.filter((each) => each.isCallerHandler);
  if (own.length === 0) return closing;
  closing.catch((error: unknown) =>
    logger.error({ error }, "what an event handler closed did not close cleanly"),
  );
  const closed = Promise.all(
    all.map((each) => each.closeExceptForClosers(own.includes(each))),
  ).then(() => {});
  if (grace === undefined) return closed;
  // The grace waits for work that does not reject; a failure still reaches the handler.
  return Promise.race([closed, grace.wait(closed.catch(() => {}))]);
}
