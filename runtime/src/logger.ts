import { readableValue } from "./log-value.ts";

/** From the most to the least talkative. */
export type LogLevel = "debug" | "info" | "warn" | "error" | "silent";

/** What is logged beside the message; values must be serializable. */
export type LogFields = Readonly<Record<string, unknown>>;

/** What the runtime logs to. A pino logger is one. */
export interface Logger {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
}

const levels: readonly LogLevel[] = ["debug", "info", "warn", "error", "silent"];

/** Where and how {@link createLogger} writes. */
export interface LoggerOptions {
  /** The least level that is written. Default `info`. */
  readonly level?: LogLevel;
  /** Fields that every line carries, such as the service's name. */
  readonly fields?: LogFields;
  /** Takes one line without its end. Default: standard error. */
  readonly write?: (line: string) => void;
  /** One JSON object a line, or text for people. Default: text on a terminal, JSON elsewhere. */
  readonly format?: "json" | "text";
}

/** A logger that writes one line an event. Line breaks in values are escaped, so a value cannot forge a line. */
export function createLogger(options: LoggerOptions = {}): Logger {
  const least = levels.indexOf(options.level ?? "info");
  const write = options.write ?? ((line) => process.stderr.write(`${line}\n`));
  const format = options.format ?? (process.stderr.isTTY ? "text" : "json");
  const line = format === "json" ? jsonLine : textLine;
  const at = (level: LogLevel) => {
    if (levels.indexOf(level) < least) return () => {};
    return (fields: LogFields, message: string) =>
      write(line(level, message, { ...options.fields, ...fields }));
  };
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

/** A logger that writes nothing. */
export const silentLogger: Logger = createLogger({ level: "silent" });

function jsonLine(level: LogLevel, message: string, fields: LogFields): string {
  const time = new Date().toISOString();
  return JSON.stringify({ time, level, message, ...fields }, readableValue);
}

function textLine(level: LogLevel, message: string, fields: LogFields): string {
  const time = new Date().toISOString().slice(11, 23);
  const rest = Object.entries(fields).map(
    ([key, value]) => ` ${key}=${JSON.stringify(value, readableValue)}`,
  );
  return `${time} ${level.padEnd(5)} ${message.replaceAll("\n", "\\n")}${rest.join("")}`;
}
