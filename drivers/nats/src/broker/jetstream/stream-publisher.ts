import { MicroError, type PublishOptions } from "@micro-es/runtime";
import {
  abortedPublication,
  BytesUnderWay,
  type EventRecord,
  eventOverheadBytes,
  throwIfAborted,
  untilAborted,
  waitUntilAborted,
  withCancellation,
} from "@micro-es/runtime/driver";
import { isNobodyThere, natsFailure } from "../../link/failure.ts";
import type { NatsLink } from "../../link/link.ts";
import { encodeHeaders } from "../message.ts";
import { encodedHeaders } from "../publish-message.ts";
import type { EventStream } from "./event-stream.ts";
import { StoreRequests } from "./store-requests.ts";

/** The progress of a publication, for one that is aborted. */
interface PublishProgress {
  /** Whether an earlier attempt may have stored the event. */
  isUnsure: boolean;
  isSending: boolean;
}

/**
 * The timeout of the first publish attempt, in milliseconds. An attempt without a response is
 * repeated with the same id and twice the time, so that an overloaded server is not loaded further.
 */
const firstTryMs = 1_500;
/**
 * An attempt with less time left would more likely time out than get a response, in milliseconds.
 */
const leastTryMs = 200;
/** The first wait between attempts, in milliseconds; each is twice the previous one. */
const firstPauseMs = 50;
const longestPauseMs = 250;

/** Publishes events, each until the stream has stored it. */
export class StreamPublisher {
  readonly #link: NatsLink;
  readonly #stream: EventStream;
  readonly #requests: StoreRequests;
  readonly #underWay: BytesUnderWay;

  constructor(link: NatsLink, stream: EventStream) {
    this.#link = link;
    this.#stream = stream;
    this.#underWay = new BytesUnderWay(`until the stream ${stream.name} has stored them`);
    this.#requests = new StoreRequests(link, Math.min(firstTryMs, link.timeoutMs));
  }

  /**
   * Publishes until the stream confirms that it has the event, or time is up. Its id, and for a
   * dead letter the group that gave up, distinguish a repetition from another event.
   *
   * @throws MicroError `resource_exhausted` when events that are under way hold too much. Dead
   * letters always pass: the handlers of a subscription limit them.
   */
  send(record: EventRecord, options: PublishOptions, queue: string | undefined): Promise<void> {
    const bytes = queue === undefined ? record.body.length + eventOverheadBytes : 0;
    if (!this.#underWay.hasRoomFor(bytes))
      return Promise.reject(this.#underWay.refusal(`publish on ${record.topic}`));
    this.#underWay.add(bytes);
    const done = () => this.#underWay.remove(bytes);
    const { signal, context } = options;
    const isSimple = signal === undefined && context === undefined && this.#stream.isOpen;
    const connection = isSimple ? this.#link.liveNow : undefined;
    if (connection === undefined) return this.#sendOrAbort(record, options, queue, done);
    const giveUpAt = performance.now() + this.#link.timeoutMs;
    return new Promise<void>((resolve, reject) => {
      this.#requests.send(
        connection,
        this.#stream.subjectOfKey(record.topic, record.key),
        encodeHeaders(record, messageId(record, queue)),
        record.body,
        {
          stored() {
            done();
            resolve();
          },
          failed: (isUnsure) => {
            const progress = { isUnsure, isSending: false };
            const stored = this.#store(record, queue, progress, undefined, giveUpAt);
            stored.finally(done).then(resolve, reject);
          },
        },
      );
    });
  }

  /** @param done is called when nothing holds the event any longer, which may be after an abort */
  async #sendOrAbort(
    record: EventRecord,
    options: PublishOptions,
    queue: string | undefined,
    done: () => void,
  ): Promise<void> {
    const giveUpAt = performance.now() + this.#link.timeoutMs;
    let began = false;
    try {
      await withCancellation(options, async (signal) => {
        throwIfAborted(signal);
        const progress: PublishProgress = { isUnsure: false, isSending: false };
        began = true;
        const stored = this.#store(record, queue, progress, signal, giveUpAt).finally(done);
        await untilAborted(stored, signal, {
          error: (reason) => abortedPublication(reason, progress.isUnsure || progress.isSending),
        });
      });
    } finally {
      if (!began) done();
    }
  }

  async #store(
    record: EventRecord,
    queue: string | undefined,
    progress: PublishProgress,
    signal: AbortSignal | undefined,
    giveUpAt: number,
  ): Promise<void> {
    const what = `publish on ${record.topic}`;
    let tryMs = progress.isUnsure ? 2 * firstTryMs : firstTryMs;
    for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(longestPauseMs, 2 * pauseMs)) {
      try {
        await this.#stream.open();
        await this.#link.live(what);
        const jetstream = await this.#link.jetstream();
        // The caller no longer waits for it.
        if (signal?.aborted === true) return;
        const subject = this.#stream.subjectOfKey(record.topic, record.key);
        progress.isSending = true;
        const kept = jetstream.publish(subject, record.body, {
          headers: encodedHeaders(encodeHeaders(record, messageId(record, queue))),
          timeout: Math.max(leastTryMs, Math.min(tryMs, giveUpAt - performance.now())),
        });
        await this.#link.response(kept);
        return;
      } catch (error) {
        // The stream may have been lost with its server's data; it is created again then.
        if (isNobodyThere(error)) this.#stream.forget();
        const failure = natsFailure(error, what);
        progress.isSending = false;
        if (failure.outcome !== "not-executed") {
          progress.isUnsure = true;
          tryMs *= 2;
        }
        const pause = pauseMs * (0.75 + 0.5 * Math.random());
        const late = giveUpAt - performance.now() < pause + leastTryMs;
        // While the connection is lost only the outcome of an earlier attempt, which may have
        // stored the event, is waited for.
        const lost = !progress.isUnsure && this.#link.status.state === "lost";
        if (failure.code !== "unavailable" || late || lost || this.#link.closed) {
          // The outcome of an earlier attempt is unknown, whatever the last one reports.
          throw new MicroError(failure.code, failure.message, {
            cause: error,
            outcome: progress.isUnsure ? "unknown" : "not-executed",
          });
        }
        await waitUntilAborted(signal, (done) => {
          const timer = setTimeout(done, pause);
          return () => clearTimeout(timer);
        });
        if (signal?.aborted === true) return;
      }
    }
  }

  /** Waits for a while for the responses that are due. */
  close(): Promise<void> {
    return this.#requests.close();
  }
}

/** Identifies an event to the stream: its id, and for a dead letter the group that rejected it. */
function messageId({ topic, id, replay }: EventRecord, queue: string | undefined): string {
  let identity = `${topic}/${id}`;
  if (replay !== undefined) identity += `/${replay}`;
  return queue === undefined ? identity : `${identity}/${queue}`;
}
