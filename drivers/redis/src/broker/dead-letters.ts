import { type DeadLetter, type DeadLetters, MicroError } from "@micro-es/runtime";
import {
  abortError,
  abortedPublication,
  checkOptions,
  checkTopic,
  type DeadLetterListOptions,
  type DeadLetterTopic,
  deadLetterListKinds,
  type EventRecord,
  originalOf,
  readDeadLetter,
  throwIfAborted,
  untilAborted,
} from "@micro-es/runtime/driver";
import type { Reply } from "../link/connection.ts";
import type { RedisLink } from "../link/link.ts";
import { type EventKeys, isAfter } from "./layout.ts";
import { decodeEvent, entriesOf, type StreamEntry } from "./message.ts";
import { lastIds } from "./scripts.ts";

/** The streams that have dead letters, and how to replay them. */
export interface RedisDeadLettersOptions {
  readonly link: RedisLink;
  readonly keys: EventKeys;
  readonly maxEventBytes: number;
  /** @throws MicroError when the broker is closed or the signal has fired. */
  check(what: string, signal: AbortSignal | undefined): void;
  publish(record: EventRecord, signal: AbortSignal | undefined): Promise<void>;
}

interface Found {
  readonly letter: DeadLetter;
  readonly record: EventRecord;
}

const pageSize = 100;

/** Dead letters in streams. A cursor is the id of an entry. */
export class RedisDeadLetters implements DeadLetters {
  readonly #options: RedisDeadLettersOptions;

  constructor(options: RedisDeadLettersOptions) {
    this.#options = options;
  }

  topics({ signal }: { readonly signal?: AbortSignal } = {}): Promise<readonly DeadLetterTopic[]> {
    const what = "list dead letter topics";
    return this.#run(what, signal, async () => {
      const { link, keys } = this.#options;
      const names = (await link.send("SMEMBERS", [keys.deadTopics], what)) as readonly Reply[];
      const topics: DeadLetterTopic[] = [];
      for (const name of names.map(String).sort()) {
        throwIfAborted(signal);
        const stream = keys.stream(name);
        const args = [stream, "+", "-", "COUNT", 1];
        const [last] = entriesOf(await link.send("XREVRANGE", args, what));
        if (last === undefined || this.#read(name, last) === undefined) continue;
        const count = Number(await link.send("XLEN", [stream], what));
        topics.push({ topic: name, count });
      }
      return topics;
    });
  }

  async *list(topic: string, options: DeadLetterListOptions = {}): AsyncIterable<DeadLetter> {
    const what = `list the dead letters on ${topic}`;
    checkOptions(what, options, deadLetterListKinds);
    const { after, limit = Number.POSITIVE_INFINITY, signal } = options;
    const { link, keys } = this.#options;
    checkTopic(topic);
    const stream = keys.stream(topic);
    let from = after === undefined ? "-" : `(${checkCursor(after)}`;
    const last = await this.#run(what, signal, async () => {
      return String(((await link.run(lastIds, [stream], [], what)) as readonly Reply[])[0]);
    });
    for (let left = limit; left > 0; ) {
      const entries = await this.#run(what, signal, async () =>
        entriesOf(await link.send("XRANGE", [stream, from, "+", "COUNT", pageSize], what)),
      );
      for (const entry of entries) {
        if (isAfter(entry.id, last)) return;
        from = `(${entry.id}`;
        const found = this.#read(topic, entry);
        if (found === undefined) continue;
        this.#options.check(what, signal);
        yield found.letter;
        if (--left === 0) return;
      }
      if (entries.length < pageSize) return;
    }
  }

  async read(topic: string, cursor: string): Promise<DeadLetter | undefined> {
    const what = `read a dead letter on ${topic}`;
    return (await this.#run(what, undefined, () => this.#find(topic, cursor, what)))?.letter;
  }

  replay(
    topic: string,
    cursor: string,
    { signal }: { readonly signal?: AbortSignal } = {},
  ): Promise<boolean> {
    const what = `replay a dead letter on ${topic}`;
    let isPublishing = false;
    const replay = async () => {
      const found = await this.#find(topic, cursor, what);
      throwIfAborted(signal);
      if (found === undefined) return false;
      const original = originalOf(found.record, found.letter.topic);
      isPublishing = true;
      await this.#options.publish({ ...original, replay: `${topic}/${cursor}` }, signal);
      await this.#delete(topic, cursor, what);
      return true;
    };
    return this.#run(what, signal, replay, (reason) => abortedPublication(reason, isPublishing));
  }

  drop(topic: string, cursor: string): Promise<boolean> {
    const what = `drop a dead letter on ${topic}`;
    return this.#run(what, undefined, async () => {
      if ((await this.#find(topic, cursor, what)) === undefined) return false;
      return this.#delete(topic, cursor, what);
    });
  }

  async #find(topic: string, cursor: string, what: string): Promise<Found | undefined> {
    checkTopic(topic);
    const id = checkCursor(cursor);
    const args = [this.#options.keys.stream(topic), id, id];
    const [entry] = entriesOf(await this.#options.link.send("XRANGE", args, what));
    return entry?.id === id ? this.#read(topic, entry) : undefined;
  }

  /** False if another process deleted it meanwhile. */
  async #delete(topic: string, cursor: string, what: string): Promise<boolean> {
    const args = [this.#options.keys.stream(topic), cursor];
    return (await this.#options.link.send("XDEL", args, what)) === 1;
  }

  #read(topic: string, { id, fields }: StreamEntry): Found | undefined {
    try {
      const record = decodeEvent(topic, fields ?? [], this.#options.maxEventBytes);
      const at = new Date(Number(id.slice(0, id.indexOf("-"))));
      const letter = readDeadLetter(record, id, at);
      return letter === undefined ? undefined : { letter, record };
    } catch (error) {
      // An entry of another program that is not an event.
      if (error instanceof MicroError) return undefined;
      throw error;
    }
  }

  /** @param aborted makes the error for an operation that may have done more than reading. */
  async #run<T>(
    what: string,
    signal: AbortSignal | undefined,
    work: () => Promise<T>,
    aborted: (reason: unknown) => MicroError = abortError,
  ): Promise<T> {
    this.#options.check(what, signal);
    return await untilAborted(work(), signal, { error: aborted });
  }
}

/** @throws MicroError `invalid_argument` */
function checkCursor(cursor: string): string {
  if (/^\d{1,19}(-\d{1,19})?$/.test(cursor)) return cursor;
  const shown = JSON.stringify(String(cursor).slice(0, 64));
  throw new MicroError(
    "invalid_argument",
    `${shown} is not a cursor of a dead letter: use one from a listing, such as 1764595200000-0`,
    { outcome: "not-executed" },
  );
}
