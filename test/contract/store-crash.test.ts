import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Store } from "@micro-es/runtime";
import { fileStore } from "@micro-es/runtime/store/file";
import { build } from "esbuild";
import { afterAll, beforeAll, expect, test } from "vitest";

interface Change {
  readonly seq: number;
  readonly kind: "put" | "delete";
  done: boolean;
}

/** The facts reported by a killed writer, by key, in the order of the changes. */
type Ledger = Map<string, Change[]>;

let directory: string;
let writer: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "micro-store-crash-"));
  // Where the packages of this repository are found; without a loader, a writer starts quickly.
  const modules = join(
    dirname(createRequire(import.meta.url).resolve("classic-level")),
    "../.cache",
  );
  await mkdir(modules, { recursive: true });
  writer = join(modules, `store-crash-writer-${process.pid}.mjs`);
  await build({
    entryPoints: [join(import.meta.dirname, "store-crash-writer.ts")],
    outfile: writer,
    bundle: true,
    platform: "node",
    format: "esm",
    conditions: ["@micro-es/source"],
    external: ["classic-level"],
  });
});
afterAll(async () => {
  await rm(directory, { recursive: true, force: true });
  await rm(writer, { force: true });
});

test.each(["sync", "async"])(
  "a writer (%s) killed at 10 random moments loses nothing that was acknowledged and tears nothing",
  { timeout: 60_000 },
  async (sync) => {
    const path = join(directory, sync);
    const ledger: Ledger = new Map();
    let seq = 0;
    for (let round = 0; round < 10; round++) {
      seq = await runAndKill([path, String(seq), sync], ledger, 5 + Math.random() * 150);
      const store = fileStore({ path });
      await using _ = store;
      expect(await faults(store, ledger)).toEqual([]);
    }
    expect(seq).toBeGreaterThan(100);
  },
);

test("the check finds a lost, an old, a revived and a torn record", async () => {
  await using store = fileStore({ path: join(directory, "check") });
  const put = async (key: string, text: string, digest = sha256(`${key} ${text}`)) =>
    store.write(key, new TextEncoder().encode(`${digest} ${text}`));
  await put("old", "1 x");
  await put("revived", "1 x");
  await put("torn", "1 x", sha256("other"));
  await put("sound", "2 x");
  await put("unacknowledged", "1 x");
  const done = (seq: number, kind: Change["kind"] = "put"): Change => ({ seq, kind, done: true });
  const ledger: Ledger = new Map([
    ["lost", [done(1)]],
    ["old", [done(1), done(2)]],
    ["revived", [done(1), done(2, "delete")]],
    ["torn", [done(1)]],
    ["sound", [done(1), done(2)]],
    ["unacknowledged", [done(1), { seq: 2, kind: "put", done: false }]],
  ]);
  expect((await faults(store, ledger)).map((fault) => fault.split(":")[0])).toEqual([
    "lost",
    "old",
    "revived",
    "torn",
  ]);
});

/**
 * Runs the writer, kills it after a while, adds its facts, and returns its last sequence number.
 */
async function runAndKill(args: string[], ledger: Ledger, afterMs: number): Promise<number> {
  const child = spawn(process.execPath, [writer, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (text) => {
    errors += text;
  });
  const opened = new Promise<void>((resolve) => {
    child.stdout.setEncoding("utf8").on("data", (text) => {
      output += text;
      if (output.startsWith("open\n")) resolve();
    });
  });
  const ended = once(child, "close");
  await Promise.race([opened, ended]);
  await sleep(afterMs);
  child.kill("SIGKILL");
  const [, signal] = await ended;
  assert.equal(signal, "SIGKILL", errors);
  let last = Number(args[1]);
  // The text after the last line end was cut off by the kill.
  for (const line of output.split("\n").slice(0, -1)) {
    const [what, number, key, kind] = line.split(" ");
    const seq = Number(number);
    if (what === "begin") {
      const changes = ledger.get(key!) ?? [];
      ledger.set(key!, changes);
      changes.push({ seq, kind: kind as Change["kind"], done: false });
      last = Math.max(last, seq);
    } else if (what === "done") {
      ledger.get(key!)!.find((change) => change.seq === seq)!.done = true;
    }
  }
  return last;
}

/** The store's deviations from the ledger of begun and acknowledged changes. */
async function faults(store: Store, ledger: Ledger): Promise<string[]> {
  const found: string[] = [];
  for (const [key, changes] of ledger) {
    const record = await store.read(key);
    const acknowledged = changes.findLastIndex((change) => change.done);
    // The store must contain the last acknowledged change, or one that was begun after it.
    const possible = changes.slice(Math.max(acknowledged, 0));
    if (record === undefined) {
      const fine = acknowledged < 0 || possible.some((change) => change.kind === "delete");
      if (!fine) found.push(`${key}: nothing, after ${JSON.stringify(possible)}`);
      continue;
    }
    const [digest, ...rest] = new TextDecoder().decode(record.value).split(" ");
    const text = rest.join(" ");
    if (sha256(`${key} ${text}`) !== digest) {
      found.push(`${key}: torn`);
      continue;
    }
    const seq = Number(rest[0]);
    if (!possible.some((change) => change.kind === "put" && change.seq === seq)) {
      found.push(`${key}: ${seq}, after ${JSON.stringify(possible)}`);
    }
  }
  return found;
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
