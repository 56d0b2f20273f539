import { messageOf } from "./error.ts";
import { toLoggable } from "./loggable.ts";
import { callback, checkOptions, object, oneOf } from "./option-check.ts";
import { escapeControls } from "./terminal-text.ts";

/** From the most to the least verbose. */
export type LogLevel = "debug" | "info" | "warn" | "error" | "silent";

/** Fields logged in addition to the message; values must be serializable. */
export type LogFields = Readonly<Record<string, unknown>>;

/** The interface that the runtime logs to. A pino logger implements it. */
export interface Logger {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
}

const levels: readonly LogLevel[] = ["debug", "info", "warn", "error", "silent"];

/** Options of {@link createLogger}. */
export interface LoggerOptions {
  /** Minimum level to write. Default `info`. */
  readonly level?: LogLevel;
  /** Fields added to every line, such as the service's name. */
  readonly fields?: LogFields;
  /** Receives one line without its line break. Default: writes to standard error. */
  readonly write?: (line: string) => void;
  /** One JSON object per line, or text for humans. Default: text on a terminal, JSON elsewhere. */
  readonly format?: "json" | "text";
}

/**
 * Creates a logger that writes one line per event. Both formats escape control characters in
 * messages, names and values, so text from callers can neither forge a line nor control a terminal.
 *
 * @example
 * ```ts
 * import { createLogger } from "@micro-es/runtime";
 *
 * const logger = createLogger({ level: "debug", fields: { region: "eu-1" } });
 * logger.info({ order: 7 }, "order accepted");
 * ```
 */
export function createLogger(options: LoggerOptions = {}): Logger {
  checkOptions("createLogger", options, {
    level: oneOf(...levels),
    fields: object,
    write: callback,
    format: oneOf("json", "text"),
  });
  const least = levels.indexOf(options.level ?? "info");
  const write = options.write ?? ((line) => process.stderr.write(`${line}\n`));
  const format = options.format ?? (process.stderr.isTTY ? "text" : "json");
  const line = format === "json" ? jsonLine : textLine;
  const at = (level: LogLevel) => {
    if (levels.indexOf(level) < least) return () => {};
    return (fields: LogFields, message: string) =>
      write(escapeControls(line(level, message, { ...options.fields, ...fields })));
  };
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

/** A logger that writes nothing. */
export const silentLogger: Logger = createLogger({ level: "silent" });

function jsonLine(level: LogLevel, message: string, fields: LogFields): string {
  const time = new Date().toISOString();
  try {
    return JSON.stringify({ time, level, message, ...fields }, toLoggable);
  } catch {
    return JSON.stringify({ time, level, message, ...writable(fields) });
  }
}

function textLine(level: LogLevel, message: string, fields: LogFields): string {
  const time = new Date().toISOString().slice(11, 23);
  const rest = Object.entries(fields).map(([key, value]) => ` ${key}=${fieldText(value)}`);
  return `${time} ${level.padEnd(5)} ${message}${rest.join("")}`;
}

/**
 * The fields as text, for when one of them cannot be written: a line with less is better than none.
 */
function writable(fields: LogFields): LogFields {
  return Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, fieldText(value)]));
}

/**
 * A value as JSON. A value that cannot be written, such as a circular object or one with a getter
 * that throws, is replaced by the reason.
 */
function fieldText(value: unknown): string {
  try {
    return JSON.stringify(value, toLoggable);
  } catch (reason) {
    return JSON.stringify(`a value that cannot be written: ${messageOf(reason)}`);
  }
}
