import { readableValue } from "../log-value.ts";
import type { LogFields, Logger, LogLevel } from "../logger.ts";
import { Changes } from "./changes.ts";

/** One line that was logged. */
export interface LogRecord {
  /** Grows by one with each record, from 1. */
  readonly sequence: number;
  readonly time: Date;
  readonly level: LogLevel;
  readonly message: string;
  /** Text as it is, everything else as JSON. */
  readonly fields: Readonly<Record<string, string>>;
}

/** A record, and how many before it were gone when it was read. */
export interface ReadRecord extends LogRecord {
  readonly missed: number;
}

/** Which records are read. */
export interface LogQuery {
  /** Of those that are there, so many at most, the last. */
  readonly tail: number;
  readonly follow: boolean;
  /** The least level. */
  readonly level: LogLevel;
  readonly notBefore: Date;
  /** Only those behind this sequence number. */
  readonly after: number;
}

const levels: readonly LogLevel[] = ["debug", "info", "warn", "error"];
/** The longest message and field, in characters, and the most fields of a record that are kept. */
const maxText = 4_096;
const maxFields = 32;
/** What all records take together at most, in characters. */
const maxCharacters = 4 * 1024 * 1024;

/** Keeps the last lines that were logged, and tells those who follow of new ones. */
export class LogRing {
  readonly #limit: number;
  readonly #changes = new Changes();
  /** By sequence number, in their order. */
  readonly #records = new Map<number, { readonly record: LogRecord; readonly size: number }>();
  #last = 0;
  #characters = 0;

  /** @param limit how many records are kept. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** A logger that also logs here what is not below a level. */
  before(logger: Logger, level: LogLevel): Logger {
    const least = levels.indexOf(level);
    const at = (own: "debug" | "info" | "warn" | "error") => {
      if (least < 0 || levels.indexOf(own) < least) {
        return (fields: LogFields, message: string) => logger[own](fields, message);
      }
      return (fields: LogFields, message: string) => {
        this.add(own, fields, message);
        logger[own](fields, message);
      };
    };
    return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
  }

  add(level: LogLevel, fields: LogFields, message: string): void {
    const texts = Object.entries(fields)
      .slice(0, maxFields)
      .map(([name, value]) => [name, textOf(value)] as const);
    const record: LogRecord = {
      sequence: ++this.#last,
      time: new Date(),
      level,
      message: String(message).slice(0, maxText),
      fields: Object.fromEntries(texts),
    };
    const size = texts.reduce((all, [name, text]) => all + name.length + text.length, 100);
    this.#records.set(record.sequence, { record, size: size + record.message.length });
    this.#characters += size + record.message.length;
    for (const [sequence, { size: freed }] of this.#records) {
      if (this.#records.size <= this.#limit && this.#characters <= maxCharacters) break;
      this.#records.delete(sequence);
      this.#characters -= freed;
    }
    this.#changes.tell();
  }

  /** Records that a query asks for, the oldest first; with `follow` until the signal fires. */
  async *read(query: LogQuery, signal: AbortSignal): AsyncGenerator<ReadRecord, undefined> {
    const { follow, notBefore } = query;
    const least = levels.indexOf(query.level);
    const wanted = ({ level, time }: LogRecord) =>
      levels.indexOf(level) >= least && time >= notBefore;
    const there = [...this.#records.values()]
      .map(({ record }) => record)
      .filter((record) => record.sequence > query.after && wanted(record));
    let read = this.#last;
    for (const record of query.tail > 0 ? there.slice(-query.tail) : []) {
      if (signal.aborted) return;
      yield { ...record, missed: 0 };
    }
    let missed = 0;
    while (follow && !signal.aborted) {
      if (read === this.#last) {
        await this.#changes.next(signal);
        continue;
      }
      // Who reads more slowly than is logged misses what has left meanwhile, and is told how much.
      const first = this.#last - this.#records.size + 1;
      missed += Math.max(0, first - read - 1);
      read = Math.max(read + 1, first);
      const record = this.#records.get(read)?.record;
      if (record === undefined || !wanted(record)) continue;
      yield { ...record, missed };
      missed = 0;
    }
  }
}

function textOf(value: unknown): string {
  try {
    const text = typeof value === "string" ? value : JSON.stringify(value, readableValue);
    return String(text).slice(0, maxText);
  } catch (error) {
    return `a value that cannot be written: ${error}`.slice(0, maxText);
  }
}
