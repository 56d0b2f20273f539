import type { LogFields, Logger } from "../base/logger.ts";

/** One logged line. */
export interface LogLine {
  readonly level: "debug" | "info" | "warn" | "error";
  readonly message: string;
  readonly fields: LogFields;
}

/** Maximum number of lines kept; older ones are dropped. */
const maxLines = 10_000;

/** A logger that keeps its lines, and forwards them to another logger if there is one. */
export class RecordedLog implements Logger {
  readonly #lines: LogLine[] = [];
  readonly #next: Logger | undefined;

  constructor(next: Logger | undefined) {
    this.#next = next;
  }

  get lines(): readonly LogLine[] {
    return this.#lines;
  }

  debug(fields: LogFields, message: string): void {
    this.#add("debug", fields, message);
  }

  info(fields: LogFields, message: string): void {
    this.#add("info", fields, message);
  }

  warn(fields: LogFields, message: string): void {
    this.#add("warn", fields, message);
  }

  error(fields: LogFields, message: string): void {
    this.#add("error", fields, message);
  }

  #add(level: LogLine["level"], fields: LogFields, message: string): void {
    if (this.#lines.length === maxLines) this.#lines.shift();
    this.#lines.push({ level, message, fields });
    this.#next?.[level](fields, message);
  }
}
