import type { DeadLetter } from "@micro-es/runtime";
import {
  checkOptions,
  checkTopic,
  cursorNumber,
  type DeadLetterHost,
  type DeadLetterListOptions,
  type DeadLetterTopic,
  deadLetterListKinds,
  type FoundDeadLetter,
  KeptDeadLetters,
} from "@micro-es/runtime/driver";
import type { MsgRequest, StoredMsg } from "nats";
import { isNotFound, natsFailure } from "../../link/failure.ts";
import type { NatsLink } from "../../link/link.ts";
import { checkSubject, decodeMessage } from "../message.ts";

/** The stream that stores dead letters. */
export interface StreamDeadLettersOptions extends DeadLetterHost {
  readonly link: NatsLink;
  readonly stream: string;
  /** Subjects consist of this prefix, the topic, and one more part. */
  readonly prefix: string;
  readonly maxEventBytes: number;
}

/** Dead letters in a JetStream stream. A cursor is the sequence number in the stream. */
export class StreamDeadLetters extends KeptDeadLetters {
  readonly #options: StreamDeadLettersOptions;

  constructor(options: StreamDeadLettersOptions) {
    super(options);
    this.#options = options;
  }

  topics({ signal }: { readonly signal?: AbortSignal } = {}): Promise<readonly DeadLetterTopic[]> {
    return this.run("list dead letter topics", signal, async () => {
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
    const last = await this.run(what, signal, async () => {
      checkSubjectOf(topic);
      return this.#lastSequence();
    });
    let next = after === undefined ? 1 : Number(cursorNumber(after)) + 1;
    for (let left = limit; left > 0; ) {
      const message = await this.run(what, signal, () =>
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

  protected override async find(
    topic: string,
    cursor: string,
  ): Promise<FoundDeadLetter | undefined> {
    checkSubjectOf(topic);
    const message = await this.#message({ seq: Number(cursorNumber(cursor)) });
    return message === undefined ? undefined : this.#read(topic, message);
  }

  protected override async remove(_topic: string, cursor: string): Promise<boolean> {
    const manager = await this.#options.link.manager();
    try {
      return await manager.streams.deleteMessage(this.#options.stream, Number(cursor));
    } catch (error) {
      if (isNotFound(error)) return false;
      throw error;
    }
  }

  protected override failure(error: unknown, what: string): Error {
    return natsFailure(error, what);
  }

  protected override async ready(what: string): Promise<void> {
    await this.#options.link.live(what);
  }

  #read(topic: string, message: StoredMsg): FoundDeadLetter | undefined {
    const { subject, data, header, seq, time } = message;
    if (topicOf(subject, this.#options.prefix) !== topic) return undefined;
    const { maxEventBytes } = this.#options;
    return this.decoded(String(seq), time, () =>
      decodeMessage(topic, { data, headers: header }, maxEventBytes),
    );
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
