import { MicroError } from "../../base/error.ts";
import { checkOptions } from "../../base/option-check.ts";
import type {
  DeadLetter,
  DeadLetterListOptions,
  DeadLetters,
  DeadLetterTopic,
} from "../dead-letter-admin.ts";
import { cursorNumber, originalOf, readDeadLetter } from "../dead-letter-record.ts";
import { checkTopic, type EventRecord } from "../event.ts";
import { deadLetterListKinds } from "../option-kinds.ts";

/** A dead letter and its time of arrival. */
interface Kept {
  readonly record: EventRecord;
  readonly at: Date;
}

/**
 * Limits on the dead letters kept for one network: their number, and their bytes in total. The
 * oldest are dropped first.
 */
const maxKept = 1_000;
const maxKeptBytes = 16 * 1024 * 1024;

/** The dead letters of the memory brokers of one network. They are lost when the process exits. */
export class KeptDeadLetters {
  /** By number, in order of arrival. */
  readonly #kept = new Map<bigint, Kept>();
  #last = 0n;
  #bytes = 0;

  add(record: EventRecord): void {
    this.#kept.set(++this.#last, { record, at: new Date() });
    this.#bytes += record.body.length;
    for (const number of this.#kept.keys()) {
      if (this.#kept.size <= maxKept && this.#bytes <= maxKeptBytes) break;
      this.delete(number);
    }
  }

  get(number: bigint): Kept | undefined {
    return this.#kept.get(number);
  }

  delete(number: bigint): void {
    this.#bytes -= this.#kept.get(number)?.record.body.length ?? 0;
    this.#kept.delete(number);
  }

  entries(): (readonly [bigint, Kept])[] {
    return [...this.#kept];
  }
}

/** What {@link memoryDeadLetters} needs from its broker. */
export interface MemoryDeadLetterHost {
  readonly kept: KeptDeadLetters;
  /** @throws MicroError when the broker is closed or the signal has aborted. */
  check(what: string, signal: AbortSignal | undefined): void;
  hasSubscribers(topic: string): boolean;
  deliver(record: EventRecord, signal: AbortSignal | undefined): Promise<void>;
}

/** The dead letters of a memory broker. */
export function memoryDeadLetters(host: MemoryDeadLetterHost): DeadLetters {
  return new MemoryDeadLetters(host);
}

class MemoryDeadLetters implements DeadLetters {
  readonly #host: MemoryDeadLetterHost;

  constructor(host: MemoryDeadLetterHost) {
    this.#host = host;
  }

  async topics({
    signal,
  }: {
    readonly signal?: AbortSignal;
  } = {}): Promise<readonly DeadLetterTopic[]> {
    this.#host.check("list dead letter topics", signal);
    const counts = new Map<string, number>();
    for (const [, { record }] of this.#host.kept.entries()) {
      counts.set(record.topic, (counts.get(record.topic) ?? 0) + 1);
    }
    return [...counts]
      .map(([topic, count]) => ({ topic, count }))
      .sort((a, b) => (a.topic < b.topic ? -1 : 1));
  }

  async *list(topic: string, options: DeadLetterListOptions = {}): AsyncIterable<DeadLetter> {
    checkOptions(`list the dead letters on ${topic}`, options, deadLetterListKinds);
    const { after, limit = Number.POSITIVE_INFINITY, signal } = options;
    const what = `list the dead letters on ${topic}`;
    this.#host.check(what, signal);
    checkTopic(topic);
    const first = after === undefined ? 0n : cursorNumber(after);
    let left = limit;
    for (const [number] of this.#host.kept.entries()) {
      if (left <= 0) return;
      const letter = number > first ? this.#letter(topic, number) : undefined;
      if (letter === undefined) continue;
      this.#host.check(what, signal);
      left--;
      yield letter;
    }
  }

  async read(topic: string, cursor: string): Promise<DeadLetter | undefined> {
    this.#host.check(`read a dead letter on ${topic}`, undefined);
    checkTopic(topic);
    return this.#letter(topic, cursorNumber(cursor));
  }

  async replay(
    topic: string,
    cursor: string,
    { signal }: { readonly signal?: AbortSignal } = {},
  ): Promise<boolean> {
    this.#host.check(`replay a dead letter on ${topic}`, signal);
    const letter = await this.read(topic, cursor);
    const kept = this.#host.kept.get(cursorNumber(cursor));
    if (letter === undefined || kept === undefined) return false;
    if (!this.#host.hasSubscribers(letter.topic)) {
      throw new MicroError(
        "failed_precondition",
        `there is no subscriber to ${letter.topic}, and a memory broker would lose the event; subscribe first`,
        { outcome: "not-executed" },
      );
    }
    await this.#host.deliver(originalOf(kept.record, letter.topic), signal);
    return this.drop(topic, cursor);
  }

  async drop(topic: string, cursor: string): Promise<boolean> {
    const there = (await this.read(topic, cursor)) !== undefined;
    if (there) this.#host.kept.delete(cursorNumber(cursor));
    return there;
  }

  #letter(topic: string, number: bigint): DeadLetter | undefined {
    const kept = this.#host.kept.get(number);
    if (kept === undefined || kept.record.topic !== topic) return undefined;
    return readDeadLetter(kept.record, String(number), kept.at);
  }
}
