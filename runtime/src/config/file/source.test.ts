import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createLogger } from "../../base/logger.ts";
import type { Config } from "../config.ts";
import { loadConfig } from "../load.ts";
import { integer, list } from "../readers.ts";
import { fileSource } from "./source.ts";

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

/** The contents of a file whose parts must all be consistent. */
function contents(version: number): string {
  const copies = Array.from({ length: 50 }, () => version);
  return JSON.stringify({ first: version, copies, last: { version } }, undefined, 1);
}

/** Reads a configuration repeatedly while it is written; returns the versions seen. */
async function readWhile(config: Config, writing: Promise<void>): Promise<number[]> {
  const seen: number[] = [];
  let writes = true;
  const done = writing.finally(() => {
    writes = false;
  });
  let version = 0;
  while (writes) {
    const { snapshot } = config;
    const first = config.get("first", integer);
    expect(new Set(config.get("copies", list(integer)))).toEqual(new Set([first]));
    expect(config.get("last.version", integer)).toBe(first);
    expect(snapshot.version).toBeGreaterThanOrEqual(version);
    version = snapshot.version;
    if (seen.at(-1) !== first) seen.push(first);
    await new Promise(setImmediate);
  }
  await done;
  return seen;
}

const writers = {
  async "an atomic rename"(path: string, version: number) {
    writeFileSync(`${path}.new`, contents(version));
    renameSync(`${path}.new`, path);
    await sleep(5);
  },
  async "truncating and writing in three parts"(path: string, version: number) {
    const text = contents(version);
    const third = Math.ceil(text.length / 3);
    truncateSync(path);
    for (let i = 0; i < 3; i++) {
      await sleep(i * 10);
      appendFileSync(path, text.slice(i * third, (i + 1) * third));
    }
    await sleep(version % 3 === 0 ? 80 : 5);
  },
  async "deleting and rewriting"(path: string, version: number) {
    unlinkSync(path);
    await sleep(10);
    writeFileSync(path, contents(version));
    await sleep(5);
  },
};

describe("a reader in a loop sees only complete states, never an older one, and the last, with", () => {
  test.each(Object.entries(writers))("%s", async (_name, write) => {
    const path = join(directory, "app.json");
    writeFileSync(path, contents(0));
    await using config = await loadConfig([fileSource(path)], { logger });
    const rounds = 20;
    const writing = (async () => {
      for (let version = 1; version <= rounds; version++) await write(path, version);
      await until(() => config.get("first", integer) === rounds);
    })();
    const seen = await readWhile(config, writing);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
    expect(seen.at(-1)).toBe(rounds);
    expect(config.state).toBe("healthy");
  });

  test("a swap of the symbolic link that Kubernetes swaps", async () => {
    const version = (n: number) => {
      mkdirSync(join(directory, `..${n}`));
      writeFileSync(join(directory, `..${n}`, "app.json"), contents(n));
      symlinkSync(`..${n}`, join(directory, "..data_tmp"));
      renameSync(join(directory, "..data_tmp"), join(directory, "..data"));
      if (n > 1) rmSync(join(directory, `..${n - 1}`), { recursive: true });
    };
    version(1);
    const path = join(directory, "app.json");
    symlinkSync("..data/app.json", path);
    await using config = await loadConfig([fileSource(path)], { logger });
    const writing = (async () => {
      for (let n = 2; n <= 40; n++) {
        version(n);
        await sleep(n % 10 === 0 ? 80 : 5);
      }
      await until(() => config.get("first", integer) === 40);
    })();
    const seen = await readWhile(config, writing);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
    expect(seen.length).toBeGreaterThan(2);
  });

  test("a partial swap of a link in another directory", async () => {
    for (const n of [1, 2]) {
      mkdirSync(join(directory, `releases/${n}`), { recursive: true });
      writeFileSync(join(directory, `releases/${n}/app.json`), contents(n));
    }
    mkdirSync(join(directory, "etc"));
    symlinkSync("releases/1", join(directory, "current"));
    symlinkSync("../current/app.json", join(directory, "etc/app.json"));
    await using config = await loadConfig([fileSource(join(directory, "etc/app.json"))], {
      logger,
    });
    expect(config.get("first", integer)).toBe(1);
    symlinkSync("releases/2", join(directory, "next"));
    renameSync(join(directory, "next"), join(directory, "current"));
    await until(() => config.get("first", integer) === 2);
  });

  test("a directory that is removed and recreated", async () => {
    const path = join(directory, "conf", "app.json");
    mkdirSync(join(directory, "conf"));
    writeFileSync(path, contents(1));
    await using config = await loadConfig([fileSource(path)], { logger });
    rmSync(join(directory, "conf"), { recursive: true });
    await until(() => config.state === "degraded");
    expect(config.get("first", integer)).toBe(1);
    mkdirSync(join(directory, "conf"));
    writeFileSync(path, contents(2));
    await until(() => config.get("first", integer) === 2);
    expect(config.state).toBe("healthy");
  });
});

describe("a file", () => {
  test("that is required and missing is not_found with a fix; an optional one is empty", async () => {
    const path = join(directory, "app.yaml");
    await expect(fileSource(path).load()).rejects.toMatchObject({
      code: "not_found",
      message: expect.stringContaining(`${path} does not exist; create it`),
    });
    await using config = await loadConfig([fileSource(path, { required: false })], { logger });
    expect(config.snapshot.values).toEqual({});
    writeFileSync(path, "a: 1");
    await until(() => config.has("a"));
    unlinkSync(path);
    await until(() => !config.has("a"));
  });

  test("that is too large, not a file or not UTF-8 is a clear error", async () => {
    const path = join(directory, "app.json");
    writeFileSync(path, `{"a": "${"x".repeat(1024 * 1024)}"}`);
    await expect(fileSource(path).load()).rejects.toMatchObject({ code: "resource_exhausted" });
    writeFileSync(path, Buffer.from([0x7b, 0xff, 0x7d]));
    await expect(fileSource(path).load()).rejects.toThrow("not UTF-8");
    await expect(fileSource(directory, { format: "json" }).load()).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringContaining(directory),
    });
  });

  test("that begins with a byte order mark is read", async () => {
    const path = join(directory, "app.json");
    writeFileSync(path, '\uFEFF{"a": 1}');
    expect(await fileSource(path).load()).toEqual({ a: 1 });
  });

  test("with another mistake is reported again", async () => {
    const path = join(directory, "app.json");
    writeFileSync(path, "{}");
    const source = fileSource(path);
    const told: string[] = [];
    source.onStateChange((state, reason) => told.push(`${state} ${reason?.message ?? ""}`));
    await using config = await loadConfig([source], { logger });
    writeFileSync(path, '{\n"a"');
    await until(() => told.length === 1);
    writeFileSync(path, "{\n\n\nb");
    await until(() => told.length === 2);
    writeFileSync(path, "{}");
    await until(() => told.length === 3);
    expect(told[0]).toMatch(/^degraded .*app\.json:2:4: /);
    expect(told[1]).toMatch(/^degraded .*app\.json:4:1: /);
    expect(told[2]).toBe("healthy ");
    expect(config.state).toBe("healthy");
  });

  test("does not keep the process alive while watched, and is not watched after close", async () => {
    const path = join(directory, "app.json");
    writeFileSync(path, "{}");
    const script = `
      const { fileSource, loadConfig } = await import("@micro-es/runtime");
      const config = await loadConfig([fileSource(${JSON.stringify(path)})]);
      if (process.argv[1] === "close") await config.close();
      console.log(process.getActiveResourcesInfo().filter((name) => /FSEvent|Timeout/.test(name)).join());`;
    const run = async (argument: string) => {
      const child = spawn(
        process.execPath,
        [
          "--import",
          "tsx",
          "--conditions=@micro-es/source",
          "--input-type=module",
          "-e",
          script,
          argument,
        ],
        { cwd: import.meta.dirname, stdio: ["ignore", "pipe", "inherit"] },
      );
      let output = "";
      child.stdout.setEncoding("utf8").on("data", (text) => {
        output += text;
      });
      expect(await once(child, "close")).toEqual([0, null]);
      expect(output.trim()).toBe("");
    };
    await Promise.all([run("close"), run("leave")]);
  });
});
