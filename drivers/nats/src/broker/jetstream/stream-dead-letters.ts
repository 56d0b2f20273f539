import { type DeadLetter, type DeadLetters, MicroError } from "@micro-es/runtime";
import {
  abortError,
  abortedPublication,
  checkOptions,
  checkTopic,
  cursorNumber,
  type DeadLetterListOptions,
  type DeadLetterTopic,
  deadLetterListKinds,
  type EventRecord,
  originalOf,
  readDeadLetter,
  throwIfAborted,
  untilAborted,
} from "@micro-es/runtime/driver";
import type { MsgRequest, StoredMsg } from "nats";
import { isNotFound, natsFailure } from "../../link/failure.ts";
import type { NatsLink } from "../../link/link.ts";
import { checkSubject, decodeMessage } from "../message.ts";

/** The stream that stores dead letters, and how to replay them. */
export interface StreamDeadLettersOptions {
  readonly link: NatsLink;
  readonly stream: string;
  /** Subjects consist of this prefix, the topic, and one more part. */
  readonly prefix: string;
  readonly maxEventBytes: number;
  /** @throws MicroError when the broker is closed or the signal has fired. */
  check(what: string, signal: AbortSignal | undefined): void;
  publish(record: EventRecord, signal: AbortSignal | undefined): Promise<void>;
}

/** A dead letter, with the message that it was read from. */
interface Found {
  readonly letter: DeadLetter;
  readonly record: EventRecord;
}

/** Dead letters in a JetStream stream. A cursor is the sequence number in the stream. */
export class StreamDeadLetters implements DeadLetters {
  readonly #options: StreamDeadLettersOptions;

  constructor(options: StreamDeadLettersOptions) {
    this.#options = options;
  }

  topics({ signal }: { readonly signal?: AbortSignal } = {}): Promise<readonly DeadLetterTopic[]> {
    return this.#run("list dead letter topics", signal, async () => {
      const counts = await this.#countByTopic();
      const topics: DeadLetterTopic[] = [];
      for (const [topic, count] of counts) {
        const last = await this.#message({ last_by_subj: this.#subjects(topic) });
        if (last !== undefined && this.#read(topic, last) !== undefined) {
          topics.push({ topic, count });
        }
      }
      return topics.sort((a, b) => (a.topic < b.topic ? -1 : 1));
    });
  }

  async *list(topic: string, options: DeadLetterListOptions = {}): AsyncIterable<DeadLetter> {
    checkOptions(`list the dead letters on ${topic}`, options, deadLetterListKinds);
    const { after, limit = Number.POSITIVE_INFINITY, signal } = options;
    const what = `list the dead letters on ${topic}`;
    const last = await this.#run(what, signal, async () => {
      checkSubjectOf(topic);
      return this.#lastSequence();
    });
    let next = after === undefined ? 1 : Number(cursorNumber(after)) + 1;
    for (let left = limit; left > 0; ) {
      const message = await this.#run(what, signal, () =>
        this.#message({ seq: next, next_by_subj: this.#subjects(topic) }),
      );
      if (message === undefined || message.seq > last) return;
      next = message.seq + 1;
      const found = this.#read(topic, message);
      if (found === undefined) continue;
      left--;
      yield found.letter;
    }
  }

  async read(topic: string, cursor: string): Promise<DeadLetter | undefined> {
    const what = `read a dead letter on ${topic}`;
    return (await this.#run(what, undefined, () => this.#find(topic, cursor)))?.letter;
  }

  replay(
    topic: string,
    cursor: string,
    { signal }: { readonly signal?: AbortSignal } = {},
  ): Promise<boolean> {
    let isPublishing = false;
    const replay = async () => {
      const found = await this.#find(topic, cursor);
      throwIfAborted(signal);
      if (found === undefined) return false;
      const original = originalOf(found.record, found.letter.topic);
      isPublishing = true;
      await this.#options.publish({ ...original, replay: `${topic}/${cursor}` }, signal);
      await this.#delete(cursor);
      return true;
    };
    return this.#run(`replay a dead letter on ${topic}`, signal, replay, (reason) =>
      abortedPublication(reason, isPublishing),
    );
  }

  drop(topic: string, cursor: string): Promise<boolean> {
    return this.#run(`drop a dead letter on ${topic}`, undefined, async () => {
      if ((await this.#find(topic, cursor)) === undefined) return false;
      return this.#delete(cursor);
    });
  }

  async #find(topic: string, cursor: string): Promise<Found | undefined> {
    checkSubjectOf(topic);
    const message = await this.#message({ seq: Number(cursorNumber(cursor)) });
    return message === undefined ? undefined : this.#read(topic, message);
  }

  /** False if another process deleted it meanwhile. */
  async #delete(cursor: string): Promise<boolean> {
    const manager = await this.#options.link.manager();
    try {
      return await manager.streams.deleteMessage(this.#options.stream, Number(cursor));
    } catch (error) {
      if (isNotFound(error)) return false;
      throw error;
    }
  }

  #read(topic: string, message: StoredMsg): Found | undefined {
    const { subject, data, header, seq, time } = message;
    if (topicOf(subject, this.#options.prefix) !== topic) return undefined;
    try {
      const record = decodeMessage(topic, { data, headers: header }, this.#options.maxEventBytes);
      const letter = readDeadLetter(record, String(seq), time);
      return letter === undefined ? undefined : { letter, record };
    } catch (error) {
      // A message of another program that is not an event.
      if (error instanceof MicroError) return undefined;
      throw error;
    }
  }

  /** The message that a request names; undefined if there is none, or no stream. */
  async #message(request: MessageRequest): Promise<StoredMsg | undefined> {
    const manager = await this.#options.link.manager();
    try {
      return await manager.streams.getMessage(this.#options.stream, request as MsgRequest);
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  async #lastSequence(): Promise<number> {
    const manager = await this.#options.link.manager();
    try {
      return (await manager.streams.info(this.#options.stream)).state.last_seq;
    } catch (error) {
      if (isNotFound(error)) return 0;
      throw error;
    }
  }

  async #countByTopic(): Promise<ReadonlyMap<string, number>> {
    const { link, stream, prefix } = this.#options;
    const counts = new Map<string, number>();
    const manager = await link.manager();
    try {
      const { state } = await manager.streams.info(stream, { subjects_filter: `${prefix}.>` });
      for (const [subject, count] of Object.entries(state.subjects ?? {})) {
        const topic = topicOf(subject, prefix);
        counts.set(topic, (counts.get(topic) ?? 0) + count);
      }
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
    return counts;
  }

  #subjects(topic: string): string {
    return `${this.#options.prefix}.${topic}.*`;
  }

  /**
   * @param aborted makes the error for an operation whose signal fires after it may have done more
   * than reading.
   */
  async #run<T>(
    what: string,
    signal: AbortSignal | undefined,
    work: () => Promise<T>,
    aborted: (reason: unknown) => MicroError = abortError,
  ): Promise<T> {
    this.#options.check(what, signal);
    try {
      const running = this.#options.link.live(what).then(() => {
        throwIfAborted(signal);
        return work();
      });
      return await untilAborted(running, signal, { error: aborted });
    } catch (error) {
      throw natsFailure(error, what);
    }
  }
}

/**
 * A request to JetStream's API; the client's type lacks the search by subject from a sequence
 * number.
 */
type MessageRequest =
  | { readonly seq: number; readonly next_by_subj?: string }
  | { readonly last_by_subj: string };

/** The topic in a subject: without the prefix and the last part. */
function topicOf(subject: string, prefix: string): string {
  return subject.slice(prefix.length + 1, subject.lastIndexOf("."));
}

function checkSubjectOf(topic: string): void {
  checkTopic(topic);
  checkSubject(topic);
}
