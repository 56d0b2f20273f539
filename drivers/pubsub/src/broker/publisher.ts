import { type Code, MicroError, type PublishOptions } from "@micro-es/runtime";
import {
  abortedPublication,
  type Backoff,
  BytesUnderWay,
  backoffMs,
  type EventRecord,
  pauseUntilAborted,
  sharedAbortController,
  throwIfAborted,
  untilAborted,
  withCancellation,
} from "@micro-es/runtime/driver";
import type { PubsubMessageInit } from "../gen/google/pubsub/v1/pubsub_codec.ts";
import { Publisher_publish } from "../gen/google/pubsub/v1/pubsub_micro.ts";
import { canPass, pubSubFailure, unavailable } from "../link/failure.ts";
import type { PubSubLink } from "../link/link.ts";
import { encodeMessage, sizeOf } from "./message.ts";
import { createTopic } from "./topology.ts";

/** Options of an {@link EventPublisher}. */
export interface EventPublisherOptions {
  readonly link: PubSubLink;
  /** The full name of a topic. */
  readonly nameOf: (topic: string) => string;
  /** Whether events with a key are published in order. */
  readonly isOrdered: boolean;
}

/** How an event is published. */
export interface Publication extends PublishOptions {
  /** The number of a dead letter, which is not limited in what is under way. */
  readonly letter?: bigint;
}

/** One event on its way. */
interface Waiting {
  readonly message: PubsubMessageInit;
  readonly bytes: number;
  readonly what: string;
  readonly giveUpAt: number;
  readonly signal: AbortSignal | undefined;
  /** Whether an earlier attempt may have published it. */
  isUnsure: boolean;
  isSending: boolean;
  resolve(): void;
  reject(error: MicroError): void;
}

/** Events of one topic, and of one key if those are ordered. */
interface Lane {
  readonly topic: string;
  readonly isOrdered: boolean;
  waiting: Waiting[];
  isScheduled: boolean;
  isSending: boolean;
}

/** The most events of one request, and their bytes. */
const mostEvents = 100;
const mostBytes = 1024 * 1024;
/** Waits between attempts. */
const backoff: Backoff = { firstMs: 50, factor: 2, mostMs: 1_000, jitter: 0.3 };

/** Publishes events, each until the service has it. Those of one turn share requests. */
export class EventPublisher {
  readonly #options: EventPublisherOptions;
  readonly #lanes = new Map<string, Lane>();
  readonly #closing = sharedAbortController();
  readonly #sending = new Set<Promise<void>>();
  readonly #creating = new Map<string, Promise<void>>();
  readonly #underWay = new BytesUnderWay("until Pub/Sub has stored them");

  constructor(options: EventPublisherOptions) {
    this.#options = options;
  }

  /**
   * Resolves when the service has the event.
   * @throws MicroError `resource_exhausted` when events that are under way hold too much. Dead
   * letters always pass: the handlers of their subscription limit them.
   */
  async send(record: EventRecord, options: Publication): Promise<void> {
    const { isOrdered, link } = this.#options;
    const { letter } = options;
    const message = encodeMessage(
      record,
      letter === undefined ? { isOrdered } : { isOrdered, letter },
    );
    const bytes = sizeOf(message);
    const counted = letter === undefined ? bytes : 0;
    if (!this.#underWay.hasRoomFor(counted))
      throw this.#underWay.refusal(`publish on ${record.topic}`);
    this.#underWay.add(counted);
    let waiting: Waiting | undefined;
    let publishing: Promise<void> | undefined;
    const done = () => this.#underWay.remove(counted);
    try {
      await withCancellation(options, async (signal) => {
        throwIfAborted(signal);
        publishing = new Promise<void>((resolve, reject) => {
          waiting = {
            message,
            bytes,
            what: `publish on ${record.topic}`,
            giveUpAt: performance.now() + link.timeoutMs,
            signal,
            isUnsure: false,
            isSending: false,
            resolve,
            reject,
          };
          this.#enqueue(record.topic, waiting);
        }).finally(done);
        await untilAborted(publishing, signal, {
          error: (reason) =>
            abortedPublication(reason, waiting?.isUnsure === true || waiting?.isSending === true),
        });
      });
    } finally {
      if (publishing === undefined) done();
    }
  }

  /** Ends the waits between attempts, and resolves when all requests have ended. */
  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all(this.#sending);
  }

  #enqueue(topic: string, waiting: Waiting): void {
    const { orderingKey } = waiting.message;
    const name = orderingKey === undefined ? topic : `${topic}~${orderingKey}`;
    let lane = this.#lanes.get(name);
    if (lane === undefined) {
      lane = {
        topic,
        isOrdered: orderingKey !== undefined,
        waiting: [],
        isScheduled: false,
        isSending: false,
      };
      this.#lanes.set(name, lane);
    }
    lane.waiting.push(waiting);
    this.#schedule(name, lane);
  }

  /** Events of the same turn share a request. */
  #schedule(name: string, lane: Lane): void {
    if (lane.isScheduled || (lane.isOrdered && lane.isSending)) return;
    lane.isScheduled = true;
    setImmediate(() => {
      lane.isScheduled = false;
      if (!lane.isOrdered) this.#lanes.delete(name);
      while (lane.waiting.length > 0 && !(lane.isOrdered && lane.isSending))
        this.#begin(name, lane);
      if (lane.waiting.length === 0 && !lane.isSending) this.#lanes.delete(name);
    });
  }

  #begin(name: string, lane: Lane): void {
    const batch = nextBatch(lane);
    if (batch.length === 0) return;
    lane.isSending = true;
    const sending = this.#send(lane, batch).then((error) => {
      lane.isSending = false;
      if (error !== undefined && lane.isOrdered) this.#failRest(lane, error);
      if (lane.waiting.length > 0) this.#schedule(name, lane);
      else if (this.#lanes.get(name) === lane && !lane.isScheduled) this.#lanes.delete(name);
    });
    this.#sending.add(sending);
    void sending.then(() => this.#sending.delete(sending));
  }

  /** Later events of a key must not overtake one that failed. */
  #failRest(lane: Lane, error: MicroError): void {
    for (const each of lane.waiting.splice(0)) {
      const message = `cannot ${each.what}: an earlier event with the same key failed: ${error.message}`;
      each.reject(new MicroError(error.code, message, { outcome: "not-executed", cause: error }));
    }
  }

  /** Settles all of a batch. Resolves with the error if it failed. */
  async #send(lane: Lane, batch: readonly Waiting[]): Promise<MicroError | undefined> {
    for (let failures = 0; ; ) {
      try {
        await this.#attempt(lane.topic, batch);
        for (const each of batch) each.resolve();
        return undefined;
      } catch (error) {
        const [first] = batch as readonly [Waiting];
        const failure = pubSubFailure(error, first.what);
        for (const each of batch) {
          each.isSending = false;
          if (failure.outcome !== "not-executed") each.isUnsure = true;
        }
        if (failure.code === "invalid_argument" && batch.length > 1) {
          return this.#sendEach(lane, batch);
        }
        const pauseMs = backoffMs(backoff, ++failures, Math.random);
        if (!this.#mayRetry(failure, batch, pauseMs)) return rejectAll(batch, failure);
        if (failure.code === "not_found") await this.#createTopic(lane.topic).catch(() => {});
        await pauseUntilAborted(failures === 1 ? 0 : pauseMs, this.#closing.signal);
        if (batch.every(({ signal }) => signal?.aborted === true)) return rejectAll(batch, failure);
      }
    }
  }

  /** One of them is not valid, and the others must not fail with it. */
  async #sendEach(lane: Lane, batch: readonly Waiting[]): Promise<MicroError | undefined> {
    let failed: MicroError | undefined;
    for (const each of batch) {
      if (failed !== undefined && lane.isOrdered) {
        rejectAll([each], failed);
        continue;
      }
      failed = (await this.#send(lane, [each])) ?? failed;
    }
    return failed;
  }

  #mayRetry(failure: MicroError, batch: readonly Waiting[], pauseMs: number): boolean {
    const { link } = this.#options;
    if (this.#closing.signal.aborted || link.closed) return false;
    if (!canPass(failure.code) && failure.code !== "not_found") return false;
    // Without a connection only the outcome of an earlier attempt is waited for.
    if (!link.connected && batch.every(({ isUnsure }) => !isUnsure)) return false;
    return batch.every(({ giveUpAt }) => performance.now() + pauseMs < giveUpAt);
  }

  async #attempt(topic: string, batch: readonly Waiting[]): Promise<void> {
    const { link, nameOf } = this.#options;
    const [first] = batch as readonly [Waiting];
    // Connecting may take longer than a request.
    await link.open();
    if (this.#closing.signal.aborted) throw unavailable("the broker is closed", "not-executed");
    const name = nameOf(topic);
    for (const each of batch) each.isSending = true;
    const left = Math.min(...batch.map(({ giveUpAt }) => giveUpAt)) - performance.now();
    const { messageIds } = await link.call(
      Publisher_publish,
      { topic: name, messages: batch.map(({ message }) => message) },
      { what: first.what, route: ["topic", name], timeoutMs: Math.max(left, 1_000) },
    );
    if (messageIds.length === batch.length) return;
    throw new MicroError("internal", `Pub/Sub confirmed ${messageIds.length} of ${batch.length}`);
  }

  async #createTopic(topic: string): Promise<void> {
    const { link, nameOf } = this.#options;
    let creating = this.#creating.get(topic);
    if (creating === undefined) {
      creating = createTopic(link, nameOf(topic)).finally(() => this.#creating.delete(topic));
      this.#creating.set(topic, creating);
    }
    await creating;
  }
}

/** The next events of a lane, without those whose publishers no longer wait. */
function nextBatch(lane: Lane): readonly Waiting[] {
  const batch: Waiting[] = [];
  let bytes = 0;
  let taken = 0;
  for (const each of lane.waiting) {
    if (each.signal?.aborted !== true) {
      if (batch.length === mostEvents || (bytes > 0 && bytes + each.bytes > mostBytes)) break;
      batch.push(each);
      bytes += each.bytes;
    } else each.reject(abortedPublication(each.signal.reason, each.isUnsure));
    taken++;
  }
  lane.waiting = lane.waiting.slice(taken);
  return batch;
}

function rejectAll(batch: readonly Waiting[], failure: MicroError): MicroError {
  const { code, message, cause } = failure as MicroError & { readonly code: Code };
  for (const each of batch) {
    const outcome = each.isUnsure ? "unknown" : "not-executed";
    each.reject(new MicroError(code, message, { outcome, cause }));
  }
  return failure;
}
