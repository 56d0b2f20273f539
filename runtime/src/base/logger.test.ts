import { describe, expect, test } from "vitest";
import { MicroError } from "./error.ts";
import { createLogger, type LoggerOptions } from "./logger.ts";

function written(
  options: LoggerOptions,
  log: (logger: ReturnType<typeof createLogger>) => void,
): string[] {
  const lines: string[] = [];
  log(createLogger({ ...options, write: (line) => lines.push(line) }));
  return lines;
}

describe("createLogger", () => {
  test("writes its level and those above, with the fields of logger and event", () => {
    const lines = written(
      { level: "warn", format: "json", fields: { service: "greeter" } },
      (logger) => {
        logger.info({}, "too quiet");
        logger.warn({ attempt: 2 }, "again");
        logger.error({}, "no more");
      },
    );
    expect(lines.map((line) => JSON.parse(line))).toEqual([
      expect.objectContaining({ level: "warn", message: "again", service: "greeter", attempt: 2 }),
      expect.objectContaining({ level: "error", message: "no more", service: "greeter" }),
    ]);
  });

  test("shows an error's code and message, and big integers, as JSON", () => {
    const [line] = written({ format: "json" }, (logger) =>
      logger.error({ error: new MicroError("unavailable", "gone"), version: 7n }, "lost"),
    );
    expect(JSON.parse(line ?? "")).toMatchObject({
      error: { name: "MicroError", code: "unavailable", message: "gone" },
      version: "7",
    });
  });

  test("shows the stack of an error and of its causes, up to a limit", () => {
    const circular = new Error("round");
    circular.cause = circular;
    const error = new TypeError("outer", { cause: new Error("inner", { cause: circular }) });
    const [line] = written({ format: "json" }, (logger) => logger.error({ error }, "failed"));
    const shown = JSON.parse(line ?? "").error;
    expect(shown).toMatchObject({
      name: "TypeError",
      message: "outer",
      cause: { message: "inner" },
    });
    expect(shown.stack).toMatch(/^TypeError: outer\n.*at .*logger\.test\.ts/);
    expect(shown.cause.stack).toMatch(/logger\.test\.ts/);
    expect(shown.cause.cause.message).toBe("round");
  });

  test.each(["json", "text"] as const)("a value cannot forge a line in %s", (format) => {
    const lines = written({ format }, (logger) =>
      logger.info({ name: "a\nERROR b" }, "hello\nworld"),
    );
    expect(lines).toHaveLength(1);
    expect(lines[0]).not.toContain("\n");
  });

  test.each(["json", "text"] as const)("nothing speaks to a terminal in %s", (format) => {
    const hostile = "\u001b[2J\r\u007f\u009b31m\u202e\u2066\u2028owned";
    const [line = ""] = written({ format }, (logger) =>
      logger.error({ [hostile]: hostile, error: new Error(hostile) }, hostile),
    );
    expect(line.match(/owned/g)?.length).toBeGreaterThan(3);
    expect(line).not.toMatch(/[\p{Cc}\u2028-\u202e\u2066-\u2069]/u);
    if (format === "json") expect(JSON.parse(line)).toMatchObject({ message: hostile });
  });

  test("silent writes nothing", () => {
    expect(written({ level: "silent" }, (logger) => logger.error({}, "x"))).toEqual([]);
  });
});
