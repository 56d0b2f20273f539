import type { Logger } from "../base/logger.ts";
import type { LocalSubscription } from "./local-subscription.ts";

/**
 * What the caller of a broker's `close` waits for. A handler of the broker waits until all others
 * have ended, except those that wait as well. Its own event is settled once it has returned, and
 * only then does the broker release what it settles events with.
 * @param closing the broker's complete close, which has begun.
 */
export function closeForCaller(
  closing: Promise<void>,
  subscriptions: Iterable<LocalSubscription>,
  logger: Logger,
): Promise<void> {
  const all = [...subscriptions];
  const own = all.filter((each) => each.isCallerHandler);
  if (own.length === 0) return closing;
  closing.catch((error: unknown) => logger.error({ error }, "the broker did not close cleanly"));
  const closed = all.map((each) => each.closeExceptForClosers(own.includes(each)));
  return Promise.all(closed).then(() => {});
}
