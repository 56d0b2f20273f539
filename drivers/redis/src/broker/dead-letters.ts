import { type DeadLetter, MicroError } from "@micro-es/runtime";
import {
  checkOptions,
  checkTopic,
  type DeadLetterHost,
  type DeadLetterListOptions,
  type DeadLetterTopic,
  deadLetterListKinds,
  type FoundDeadLetter,
  KeptDeadLetters,
  throwIfAborted,
} from "@micro-es/runtime/driver";
import type { Reply } from "../link/connection.ts";
import { redisFailure } from "../link/failure.ts";
import type { RedisLink } from "../link/link.ts";
import { type EventKeys, isAfter } from "./layout.ts";
import { decodeEvent, entriesOf, type StreamEntry } from "./message.ts";
import { lastIds } from "./scripts.ts";

/** The streams that have dead letters. */
export interface RedisDeadLettersOptions extends DeadLetterHost {
  readonly link: RedisLink;
  readonly keys: EventKeys;
  readonly maxEventBytes: number;
}

const pageSize = 100;

/** Dead letters in streams. A cursor is the id of an entry. */
export class RedisDeadLetters extends KeptDeadLetters {
  readonly #options: RedisDeadLettersOptions;

  constructor(options: RedisDeadLettersOptions) {
    super(options);
    this.#options = options;
  }

  topics({ signal }: { readonly signal?: AbortSignal } = {}): Promise<readonly DeadLetterTopic[]> {
    const what = "list dead letter topics";
    return this.run(what, signal, async () => {
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
    const last = await this.run(what, signal, async () => {
      return String(((await link.run(lastIds, [stream], [], what)) as readonly Reply[])[0]);
    });
    for (let left = limit; left > 0; ) {
      const entries = await this.run(what, signal, async () =>
        entriesOf(await link.send("XRANGE", [stream, from, "+", "COUNT", pageSize], what)),
      );
      for (const entry of entries) {
        if (isAfter(entry.id, last)) return;
        from = `(${entry.id}`;
        const found = this.#read(topic, entry);
        if (found === undefined) continue;
        this.check(what, signal);
        yield found.letter;
        if (--left === 0) return;
      }
      if (entries.length < pageSize) return;
    }
  }

  protected override async find(
    topic: string,
    cursor: string,
    what: string,
  ): Promise<FoundDeadLetter | undefined> {
    checkTopic(topic);
    const id = checkCursor(cursor);
    const args = [this.#options.keys.stream(topic), id, id];
    const [entry] = entriesOf(await this.#options.link.send("XRANGE", args, what));
    return entry?.id === id ? this.#read(topic, entry) : undefined;
  }

  protected override async remove(topic: string, cursor: string, what: string): Promise<boolean> {
    const args = [this.#options.keys.stream(topic), cursor];
    return (await this.#options.link.send("XDEL", args, what)) === 1;
  }

  protected override failure(error: unknown, what: string): Error {
    return redisFailure(error, what);
  }

  #read(topic: string, { id, fields }: StreamEntry): FoundDeadLetter | undefined {
    const at = new Date(Number(id.slice(0, id.indexOf("-"))));
    const { maxEventBytes } = this.#options;
    return this.decoded(id, at, () => decodeEvent(topic, fields ?? [], maxEventBytes));
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
