import { getEventListeners } from "node:events";
import { mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { MicroError } from "../base/error.ts";
import { createLogger } from "../base/logger.ts";
import type { ConfigSnapshot, ConfigSource } from "./config.ts";
import { envSource } from "./env/source.ts";
import { fileSource } from "./file/source.ts";
import { loadConfig } from "./load.ts";
import { memorySource } from "./memory/source.ts";
import { integer, text } from "./readers.ts";

/** Waits for a condition, patiently enough for a busy machine. */
const until = (condition: () => boolean | Promise<boolean>) =>
  vi.waitUntil(condition, { timeout: 10_000, interval: 10 });

const logger = createLogger({ level: "silent" });
let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "micro-config-"));
});
afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

describe("values", () => {
  test("a later source overrides leaf by leaf, and each value knows its source", async () => {
    await using config = await loadConfig([
      memorySource({ db: { host: "a", port: 1, tags: ["x", "y"] }, log: "info" }, "defaults"),
      envSource({ prefix: "T_", env: { T_DB__PORT: "2" } }),
      memorySource({ db: { tags: ["z"] }, log: null }, "last"),
    ]);
    expect(config.snapshot).toEqual({
      version: 1,
      values: { db: { host: "a", port: "2", tags: ["z"] }, log: null },
      stale: [],
    });
    expect(config.get("db.port", integer)).toBe(2);
    expect(config.sourceOf("db.port")).toBe("env");
    expect(config.sourceOf("db.host")).toBe("defaults");
    expect(config.sourceOf("db")).toBeUndefined();
    expect(config.sourceOf("none")).toBeUndefined();
    expect(config.has("db.tags")).toBe(true);
    expect(config.has("log")).toBe(false);
    expect(config.get("log", text, "warn")).toBe("warn");
    expect(() => config.get("db..port", integer)).toThrow("is not the path");
  });

  test("an error names path, source and what was expected", async () => {
    await using config = await loadConfig([
      envSource({ prefix: "T_", env: { T_POOL__SIZE: "many" } }),
    ]);
    expect(() => config.get("pool.size", integer)).toThrow(
      'config pool.size: expected a whole number, found text "many" (set by env)',
    );
    expect(() => config.get("pool.depth", integer)).toThrow("config pool.depth: no value");
    expect(() =>
      config.get("pool", () => {
        throw new Error("odd");
      }),
    ).toThrow("odd (set by env)");
    for (const path of ["toString", "__proto__", "pool.constructor", "pool.size.length"]) {
      expect(config.has(path)).toBe(false);
    }
  });

  test("two sources with one name are refused", async () => {
    await expect(loadConfig([memorySource(), memorySource()])).rejects.toThrow("called memory");
  });
});

describe("changes", () => {
  test("a watch reports changes at or below its path, and only the last to a slow reader", async () => {
    const source = memorySource({ a: { b: 1 }, c: 1 });
    await using config = await loadConfig([source]);
    const below = config.watch("a")[Symbol.asyncIterator]();
    const all = config.watch()[Symbol.asyncIterator]();
    const first = below.next();
    source.set({ a: { b: 1 }, c: 2 });
    await until(() => config.snapshot.version === 2);
    source.set({ a: { b: 2 }, c: 2 });
    expect((await first).value).toMatchObject({ version: 3, values: { a: { b: 2 } } });
    for (let i = 3; i <= 6; i++) {
      source.set({ a: { b: i }, c: 2 });
      await until(() => config.get("a.b", integer) === i);
    }
    expect((await all.next()).value).toMatchObject({ values: { a: { b: 6 } } });
    expect((await below.next()).value).toMatchObject({ values: { a: { b: 6 } } });
    const waiting = all.next();
    await config.close();
    expect(await waiting).toEqual({ done: true, value: undefined });
  });

  test("the same values again are not a change", async () => {
    const source = memorySource({ a: 1 });
    await using config = await loadConfig([source]);
    const changes: ConfigSnapshot[] = [];
    void (async () => {
      for await (const snapshot of config.watch()) changes.push(snapshot);
    })();
    source.set({ a: 1 });
    source.set({ a: 2 });
    await until(() => changes.length > 0);
    expect(changes.map(({ version }) => version)).toEqual([2]);
  });

  test("values that validate refuses are not applied, and other sources are unaffected", async () => {
    const [one, two] = [memorySource({ port: 80 }, "one"), memorySource({ level: 1 }, "two")];
    const lines: string[] = [];
    await using config = await loadConfig([one, two], {
      validate: (candidate) => {
        if (candidate.get("port", integer) < 1) throw new Error("port must be positive");
      },
      logger: createLogger({ write: (line) => lines.push(line), format: "text" }),
    });
    one.set({ port: -1 });
    await until(() => config.state === "degraded");
    expect(config.get("port", integer)).toBe(80);
    two.set({ level: 2 });
    await until(() => config.get("level", integer) === 2);
    expect(config.get("port", integer)).toBe(80);
    expect(config.state).toBe("degraded");
    one.set({ port: 81 });
    await until(() => config.get("port", integer) === 81);
    expect(config.state).toBe("healthy");
    expect(lines.filter((line) => line.includes("port must be positive"))).toHaveLength(1);
  });

  test("a logger, a listener and a validation that throw stop nothing", async () => {
    const source = memorySource({ a: 1 });
    const broken = () => {
      throw new Error("broken");
    };
    const warnings = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    await using config = await loadConfig([source], {
      logger: { debug: broken, info: broken, warn: broken, error: broken },
      validate: ({ snapshot }) => {
        if (snapshot.values.a === 2) throw null;
      },
    });
    config.onStateChange(broken);
    source.set({ a: 2 });
    await until(() => config.state === "degraded");
    source.set({ a: 3 });
    await until(() => config.get("a", integer) === 3);
    expect(warnings).toHaveBeenCalled();
    vi.restoreAllMocks();
  });

  test("a source whose watch fails is followed again", async () => {
    const inner = memorySource({ a: 1 });
    let watches = 0;
    const flaky: ConfigSource = Object.create(inner, {
      name: { value: "flaky" },
      state: { value: "healthy" },
      load: { value: () => inner.load() },
      close: { value: () => inner.close() },
      onStateChange: { value: () => () => {} },
      watch: {
        value: (options: { signal: AbortSignal }) => {
          if (++watches > 1) return inner.watch!(options);
          return (async function* () {
            yield { a: 2 };
            throw new Error("connection lost");
          })();
        },
      },
    });
    await using config = await loadConfig([flaky], { logger });
    await until(() => config.state === "degraded");
    expect(config.snapshot.stale).toEqual(["flaky"]);
    inner.set({ a: 3 });
    await until(() => config.get("a", integer) === 3);
    expect(config.state).toBe("healthy");
    expect(config.snapshot.stale).toEqual([]);
    inner.set({ a: 4 });
    await until(() => config.get("a", integer) === 4);
  });

  test("a source stays watched after the signal of the load aborts, and leaves no listener on it", async () => {
    const controller = new AbortController();
    let loads = 0;
    let watches = 0;
    const source: ConfigSource = {
      ...memorySource({}, "restless"),
      name: "restless",
      state: "healthy",
      onStateChange: () => () => {},
      load: async () => ({ loads: ++loads }),
      watch: () => {
        if (++watches === 3) throw new Error("cannot be watched now");
        return (async function* () {})();
      },
      close: async () => {},
      [Symbol.asyncDispose]: async () => {},
    };
    const signals: AbortSignal[] = [];
    const load = source.load;
    const noting: ConfigSource = {
      ...source,
      load: (options) => {
        signals.push(options!.signal!);
        return load(options);
      },
    };
    await using config = await loadConfig([noting], { logger, signal: controller.signal });
    expect(getEventListeners(controller.signal, "abort")).toEqual([]);
    controller.abort();
    await until(() => config.get("loads", integer) >= 3);
    expect(watches).toBeGreaterThan(3);
    expect(config.state).toBe("healthy");
    expect(signals.map(({ aborted }) => aborted)).not.toContain(true);
  });
});

describe("a source that cannot be read", () => {
  test("after the start keeps its last good values, flagged and logged", async () => {
    const path = join(directory, "app.yaml");
    writeFileSync(path, "a: 1\n");
    const lines: string[] = [];
    await using config = await loadConfig([fileSource(path)], {
      logger: createLogger({ write: (line) => lines.push(line), format: "text" }),
    });
    writeFileSync(path, "a: 2\nb: [1\n");
    await until(() => config.state === "degraded");
    expect(config.snapshot).toMatchObject({
      version: 1,
      values: { a: 1 },
      stale: [`file:${path}`],
    });
    expect(lines.join("\n")).toContain(`${path}:3:1: `);
    writeFileSync(path, "a: 3\n");
    await until(() => config.get("a", integer) === 3);
    expect(config.snapshot).toMatchObject({ version: 2, stale: [] });
    expect(config.state).toBe("healthy");
  });

  test("at the start it is an error, and the sources are closed", async () => {
    const path = join(directory, "app.json");
    writeFileSync(path, '{"a": 1');
    const other = memorySource();
    await expect(loadConfig([other, fileSource(path)], { logger })).rejects.toMatchObject({
      code: "invalid_argument",
      message: expect.stringContaining(`${path}:1:8: the file ends too early`),
    });
    expect(() => other.set({})).toThrow("closed");
  });

  test("invalid values at the start are an error", async () => {
    const validate = () => {
      throw new Error("no port");
    };
    await expect(loadConfig([memorySource()], { validate, logger })).rejects.toMatchObject({
      code: "invalid_argument",
      message: expect.stringContaining("no port"),
    });
  });

  test("a start from last known good values is flagged until the source is back", async () => {
    const path = join(directory, "app.json");
    const lastKnownGood = join(directory, "kept.json");
    const env = { T_PASSWORD: "canary" };
    const sources = () => [fileSource(path), envSource({ prefix: "T_", env })];
    writeFileSync(path, '{"a": 1}');
    const first = await loadConfig(sources(), { logger, lastKnownGood });
    writeFileSync(path, '{"a": 2}');
    await until(() => first.get("a", integer) === 2);
    await first.close();
    expect(statSync(lastKnownGood).mode & 0o777).toBe(0o600);
    expect(readFileSync(lastKnownGood, "utf8")).not.toContain("canary");

    writeFileSync(path, "nonsense");
    await using second = await loadConfig(sources(), { logger, lastKnownGood });
    expect(second.get("a", integer)).toBe(2);
    expect(second.snapshot.stale).toEqual([`file:${path}`]);
    expect(second.state).toBe("degraded");
    writeFileSync(path, '{"a": 3}');
    await until(() => second.get("a", integer) === 3);
    expect(second.snapshot.stale).toEqual([]);
    expect(second.state).toBe("healthy");
    // The values that it still keeps would overwrite the damage done next.
    await second.close();

    writeFileSync(path, "nonsense");
    writeFileSync(lastKnownGood, '{"sources": {"__proto__": {"a": 1}}, "x"');
    await expect(loadConfig(sources(), { logger, lastKnownGood })).rejects.toMatchObject({
      code: "data_loss",
      message: expect.stringContaining("delete it"),
    });
  });

  test("last known good values are neither written nor read through another user's link", async () => {
    const path = join(directory, "app.json");
    const lastKnownGood = join(directory, "kept.json");
    const victim = join(directory, "victim");
    writeFileSync(path, '{"a": 1}');
    writeFileSync(victim, "precious");
    symlinkSync(victim, lastKnownGood);
    symlinkSync(victim, `${lastKnownGood}.${process.pid}.new`);
    const config = await loadConfig([fileSource(path)], { logger, lastKnownGood });
    writeFileSync(path, '{"a": 2}');
    await until(() => config.get("a", integer) === 2);
    await config.close();
    expect(readFileSync(victim, "utf8")).toBe("precious");
    expect(readFileSync(lastKnownGood, "utf8")).toContain('"a":2');

    // Planted by another user who can write to the folder: a start must not use their values.
    writeFileSync(victim, readFileSync(lastKnownGood), { mode: 0o600 });
    rmSync(lastKnownGood);
    symlinkSync(victim, lastKnownGood);
    writeFileSync(path, "nonsense");
    await expect(loadConfig([fileSource(path)], { logger, lastKnownGood })).rejects.toMatchObject({
      code: "permission_denied",
      message: expect.stringMatching(/kept\.json is not trusted: it is a symbolic link; delete it/),
    });
  });

  test("loading from a source that never responds fails at its limit, or earlier by signal", async () => {
    const hanging: ConfigSource = Object.assign(memorySource({}, "hanging"), {
      load: () => new Promise<never>(() => {}),
    });
    await expect(loadConfig([hanging], { logger, loadTimeoutMs: 20 })).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringContaining("hanging was not loaded within 20 ms"),
    });
    const signal = AbortSignal.timeout(20);
    await expect(loadConfig([hanging], { logger, signal })).rejects.toMatchObject({
      code: "deadline_exceeded",
    });
    await expect(loadConfig([hanging], { logger, signal })).rejects.toBeInstanceOf(MicroError);
  });
});

test("a close names every source that could not be closed", async () => {
  const failing = (name: string) => {
    const source = memorySource({}, name);
    source.close = () => Promise.reject(new Error(`${name} is stuck`));
    return source;
  };
  const config = await loadConfig([failing("one"), failing("two")]);
  await expect(config.close()).rejects.toThrow(
    "config sources did not close: one: one is stuck; two: two is stuck",
  );
});
