import { Changes } from "../base/changes.ts";
import { toLoggable } from "../base/loggable.ts";
import type { LogFields, Logger, LogLevel } from "../base/logger.ts";

/** One logged line. */
export interface LogRecord {
  /** Sequence number, starting at 1 and incremented by one for each record. */
  readonly sequence: number;
  readonly time: Date;
  readonly level: LogLevel;
  readonly message: string;
  /** Strings unchanged, everything else as JSON. */
  readonly fields: Readonly<Record<string, string>>;
}

/** A record, and how many records before it were already gone when it was read. */
export interface ReadRecord extends LogRecord {
  readonly missed: number;
}

/** Selects the records to read. */
export interface LogQuery {
  /** Maximum number of existing records, the most recent ones. */
  readonly tail: number;
  readonly follow: boolean;
  /** The minimum level. */
  readonly level: LogLevel;
  readonly notBefore: Date;
  /** Only records after this sequence number. */
  readonly after: number;
}

const levels: readonly LogLevel[] = ["debug", "info", "warn", "error"];
/**
 * Maximum length of messages and fields, in characters, and maximum number of fields kept per
 * record.
 */
const maxText = 4_096;
const maxFields = 32;
/** Limit on all records together, in characters. */
const maxCharacters = 4 * 1024 * 1024;

/** Keeps the last logged lines, and notifies followers of new ones. */
export class LogRing {
  readonly #limit: number;
  readonly #changes = new Changes();
  /** By sequence number, in order. */
  readonly #records = new Map<number, { readonly record: LogRecord; readonly size: number }>();
  #last = 0;
  #characters = 0;

  /** @param limit maximum number of records kept. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Wraps a logger so that lines at or above a level are also kept here. */
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

  /** The records that a query selects, oldest first; with `follow`, until the signal aborts. */
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
      // A reader slower than the log misses records that were dropped in the meantime, and is told
      // how many.
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
    const text = typeof value === "string" ? value : JSON.stringify(value, toLoggable);
    return String(text).slice(0, maxText);
  } catch (error) {
    return `a value that cannot be written: ${error}`.slice(0, maxText);
  }
}
