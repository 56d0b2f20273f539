import { asMicroError, type EventPublisher, type MicroError } from "@micro-es/runtime";
import { untilAborted } from "@micro-es/runtime/driver";
import type { WaitingEvent } from "./event-row.ts";

/** What became of the events of a batch. Those of neither list were not attempted. */
export interface BatchResult {
  readonly published: readonly WaitingEvent[];
  readonly failed: readonly { readonly waiting: WaitingEvent; readonly error: MicroError }[];
}

/**
 * Publishes a batch: the events of a key one after another, until one of them fails, and others
 * at the same time.
 * @param mayBegin whether another event may be published.
 * @param signal ends the wait for the broker.
 */
export async function publishBatch(
  broker: EventPublisher,
  batch: readonly WaitingEvent[],
  maxInFlight: number,
  mayBegin: () => boolean,
  signal: AbortSignal,
): Promise<BatchResult> {
  const published: WaitingEvent[] = [];
  const failed: { waiting: WaitingEvent; error: MicroError }[] = [];
  const chains = chainsOf(batch).values();
  const work = async () => {
    // The workers share the iterator.
    for (const chain of chains) {
      for (const waiting of chain) {
        if (!mayBegin()) return;
        try {
          const publication = broker.publish(waiting.topic, waiting.event, { signal });
          await untilAborted(publication, signal);
          published.push(waiting);
        } catch (error) {
          failed.push({ waiting, error: asMicroError(error, "unknown") });
          break;
        }
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(maxInFlight, batch.length) }, work));
  return { published, failed };
}

/** The events of each key of a topic, and each event without a key, in the order of the first. */
function chainsOf(batch: readonly WaitingEvent[]): readonly (readonly WaitingEvent[])[] {
  const chains = new Map<string, WaitingEvent[]>();
  for (const waiting of batch) {
    const { key } = waiting.event;
    const name = key === undefined ? waiting.row : `${waiting.topic} ${key}`;
    const chain = chains.get(name);
    if (chain === undefined) chains.set(name, [waiting]);
    else chain.push(waiting);
  }
  return [...chains.values()];
}
