import { execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ClassicLevel } from "classic-level";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Store } from "../store.ts";
import { decodeRecord, encodeRecord } from "./record.ts";
import { type FileStore, type FileStoreOptions, fileStore } from "./store.ts";

/** Waits for a condition, patiently enough for a busy machine. */
const until = (condition: () => boolean | Promise<boolean>) =>
  vi.waitUntil(condition, { timeout: 10_000, interval: 10 });

const utf8 = new TextEncoder();
const hour = 3_600_000;
let path: string;
beforeEach(() => {
  path = mkdtempSync(join(tmpdir(), "micro-file-store-"));
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(path, { recursive: true, force: true });
});

/** The number of entries of each kind in the database below a closed store. */
async function entries(): Promise<Record<string, number>> {
  const level = new ClassicLevel<string, string>(path);
  const counts: Record<string, number> = {};
  for await (const key of level.keys()) counts[key[0]!] = (counts[key[0]!] ?? 0) + 1;
  await level.close();
  return counts;
}

async function opened(options: FileStoreOptions): Promise<FileStore> {
  const store = fileStore(options);
  await store.open();
  return store;
}

async function fill(store: Store, count: number): Promise<void> {
  await Promise.all(
    Array.from({ length: count }, (_, i) => store.write(`key-${i}`, utf8.encode(`value ${i}`))),
  );
}

function fileOf(pattern: RegExp): string {
  return join(path, readdirSync(path).find((name) => pattern.test(name))!);
}

describe("opening", () => {
  test("opens at the first use, whichever it is, and once for concurrent uses", async () => {
    await using store = fileStore({ path: join(path, "lazy") });
    expect(existsSync(join(path, "lazy"))).toBe(false);
    expect(() => store.list({ limit: -1 })).toThrow(
      expect.objectContaining({ code: "invalid_argument" }),
    );
    const watch = store.watch()[Symbol.asyncIterator]();
    const first = watch.next();
    const uses = [store.read("a"), store.write("a", utf8.encode("v")), store.delete("b")];
    await Promise.all([...uses, store.open()]);
    expect((await first).value?.type).toBe("snapshot");
    expect((await store.read("a"))?.key).toBe("a");
  });

  test("is retried by the next use, and its failure is the state", async () => {
    const first = await opened({ path });
    await using second = fileStore({ path });
    await expect(second.read("a")).rejects.toMatchObject({ code: "failed_precondition" });
    expect(second.state).toBe("lost");
    await first.close();
    await second.write("a", utf8.encode("v"));
    expect(second.state).toBe("healthy");
  });

  test("does not happen if the store is closed before", async () => {
    const store = fileStore({ path: join(path, "never") });
    await store.close();
    await expect(store.open()).rejects.toMatchObject({ code: "unavailable" });
    expect(existsSync(join(path, "never"))).toBe(false);
    const closing = fileStore({ path: join(path, "closing") });
    const opening = closing.open();
    await closing.close();
    await opening.catch(() => {});
    await (await opened({ path: join(path, "closing") })).close();
  });
});

describe("persistence", () => {
  test("records, versions and expiry are kept when the store is reopened", async () => {
    const first = await opened({ path });
    await first.write("stays", utf8.encode("a"), { metadata: { kind: "b" }, ttlMs: hour });
    await first.write("deleted", utf8.encode("a"));
    await first.delete("deleted");
    const before = await first.read("stays");
    const last = await first.write("last", utf8.encode("a"));
    await first.close();

    await using second = await opened({ path });
    expect(await second.read("stays")).toEqual(before);
    expect(await second.read("deleted")).toBeUndefined();
    expect(await second.write("deleted", utf8.encode("b"))).toBeGreaterThan(last);
  });

  test("reports what a write survives", async () => {
    await using synced = await opened({ path: join(path, "a") });
    await using fast = await opened({ path: join(path, "b"), sync: false });
    expect(synced.guarantees.durability).toBe("power-loss");
    expect(fast.guarantees.durability).toBe("process-crash");
  });

  test("creates its directory, for its owner only, and nothing outside it", async () => {
    const nested = join(path, "a", "b");
    await using store = await opened({ path: nested });
    await store.write("../../outside", utf8.encode("v"));
    expect(statSync(nested).mode & 0o777).toBe(0o700);
    expect(readdirSync(path)).toEqual(["a"]);
  });
});

describe("other users of the machine", () => {
  /** The files below a folder that other users can reach and read. */
  const readable = (folder: string): string[] => {
    if ((statSync(folder).mode & 0o077) === 0) return [];
    return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
      const inner = join(folder, entry.name);
      if (entry.isDirectory()) return readable(inner);
      return (statSync(inner).mode & 0o077) === 0 ? [] : [inner];
    });
  };

  test("cannot read a store in an existing folder that they can access", async () => {
    chmodSync(path, 0o755);
    await using store = await opened({ path });
    await fill(store, 10);
    expect(readable(path)).toEqual([]);
    expect(statSync(path).mode & 0o777).toBe(0o700);
  });

  test("cannot read one that an earlier version left accessible, either", async () => {
    await (await opened({ path })).close();
    chmodSync(path, 0o755);
    chmodSync(fileOf(/\.log$/), 0o644);
    await using store = await opened({ path });
    await fill(store, 10);
    chmodSync(path, 0o755);
    expect(readable(path)).toEqual([]);
  });

  test("keep access to a shared folder, which the store refuses to open", async () => {
    chmodSync(path, 0o755);
    writeFileSync(join(path, "page.html"), "");
    await expect(fileStore({ path }).open()).rejects.toMatchObject({
      code: "failed_precondition",
      message: expect.stringMatching(/it holds page\.html as well; choose a directory .*chmod 700/),
    });
    expect(statSync(path).mode & 0o777).toBe(0o755);
    expect(readdirSync(path)).toEqual(["page.html"]);
    await using store = await opened({ path: join(path, "store") });
    await fill(store, 1);
  });

  test("cannot plant files in a folder that they can write to", async () => {
    chmodSync(path, 0o777);
    symlinkSync(join(path, "victim"), join(path, "LOG"));
    await expect(fileStore({ path }).open()).rejects.toMatchObject({
      code: "failed_precondition",
      message: expect.stringContaining("LOG in it is not the store's: it is a symbolic link"),
    });
    expect(readdirSync(path)).toEqual(["LOG"]);
  });

  test("cannot make it write through a link", async () => {
    const victim = mkdtempSync(join(tmpdir(), "micro-victim-"));
    writeFileSync(join(victim, "file"), "precious");
    for (const name of ["micro-store.json", "micro-store.json.new", "micro-store.probe"]) {
      symlinkSync(join(victim, "file"), join(path, name));
    }
    const failure = await fileStore({ path, repair: true }).open().catch(String);
    expect(readFileSync(join(victim, "file"), "utf8")).toBe("precious");
    expect(failure).toBeUndefined();
    rmSync(victim, { recursive: true });
  });
});

describe("expiry", () => {
  test("records that expired while the store was closed cannot be read and are removed", async () => {
    const first = await opened({ path });
    for (let i = 0; i < 600; i++) void first.write(`old-${i}`, utf8.encode("v"), { ttlMs: hour });
    await first.write("new", utf8.encode("v"), { ttlMs: 48 * hour });
    await first.close();
    expect(await entries()).toMatchObject({ r: 601, x: 601 });

    const now = Date.now.bind(Date);
    vi.spyOn(Date, "now").mockImplementation(() => now() + 2 * hour);
    await until(async () => {
      const second = await opened({ path });
      expect(await second.read("old-0")).toBeUndefined();
      await second.write("new", utf8.encode("v"), { ttlMs: 48 * hour });
      await second.close();
      return (await entries()).r === 1;
    });
    expect(await entries()).toEqual({ c: 1, r: 1, x: 1 });
  });

  test("an expired record does not come back when the wall clock is set back", async () => {
    const now = Date.now.bind(Date);
    let shift = 0;
    vi.spyOn(Date, "now").mockImplementation(() => now() + shift);
    await using store = await opened({ path });
    await store.write("minute", utf8.encode("v"), { ttlMs: 60_000 });
    shift = hour;
    expect(await store.read("minute")).toBeUndefined();
    shift = -hour;
    expect(await store.read("minute")).toBeUndefined();
    await store.write("short", utf8.encode("v"), { ttlMs: 500 });
    expect(await store.read("short")).toBeDefined();
    await until(async () => (await store.read("short")) === undefined);
  });

  test("a record that is written again leaves nothing in the index of expiries", async () => {
    const store = await opened({ path });
    for (let i = 0; i < 50; i++) await store.write("key", utf8.encode("v"), { ttlMs: hour + i });
    await store.write("other", utf8.encode("v"), { ttlMs: hour });
    await store.delete("other");
    await store.close();
    expect(await entries()).toEqual({ c: 1, r: 1, x: 1 });
  });
});

describe("a store that is already open", () => {
  test("a second store of the same process gets an error that names the holder", async () => {
    await using store = await opened({ path });
    await expect(fileStore({ path }).open()).rejects.toMatchObject({
      code: "failed_precondition",
      message: expect.stringMatching(new RegExp(`${path}.*open already by process ${process.pid}`)),
    });
    await store.write("key", utf8.encode("still works"));
  });

  test("a store of another process gets it too", async () => {
    await using _ = await opened({ path });
    const script = `
      const { fileStore } = await import("@micro-es/runtime/store/file");
      fileStore({ path: ${JSON.stringify(path)} }).open().then(
        () => console.log("opened"),
        (error) => console.log(error.code, error.message));`;
    const output = execFileSync(
      process.execPath,
      ["--import", "tsx", "--conditions=@micro-es/source", "--input-type=module", "-e", script],
      { cwd: import.meta.dirname, encoding: "utf8" },
    );
    expect(output).toMatch(new RegExp(`^failed_precondition .*by process ${process.pid}`));
  });

  test("a directory of another database is not touched", async () => {
    const level = new ClassicLevel(path);
    await level.put("theirs", "value");
    await level.close();
    await expect(fileStore({ path }).open()).rejects.toMatchObject({ code: "failed_precondition" });
    expect(await entries()).toEqual({ t: 1 });
  });

  test("a store of a later format is refused", async () => {
    await (await opened({ path })).close();
    const file = join(path, "micro-store.json");
    writeFileSync(file, readFileSync(file, "utf8").replace('"format":1', '"format":2'));
    await expect(fileStore({ path }).open()).rejects.toMatchObject({
      code: "failed_precondition",
      message: expect.stringContaining("upgrade"),
    });
  });
});

describe("damage", () => {
  /** Closes a store of 500 records, damages a file, and returns the error of opening it. */
  async function damage(pattern: RegExp, change: (bytes: Buffer) => Buffer): Promise<unknown> {
    const store = await opened({ path });
    await fill(store, 500);
    await store.close();
    const file = fileOf(pattern);
    writeFileSync(file, change(readFileSync(file)));
    return opened({ path }).then(
      (store) => store.close(),
      (error: unknown) => error,
    );
  }

  test("a changed byte in the log is data_loss at every open, until repair", async () => {
    const error = await damage(/\.log$/, (bytes) => {
      bytes[10_000]! ^= 0x55;
      return bytes;
    });
    expect(error).toMatchObject({
      code: "data_loss",
      message: expect.stringMatching(/\.log.*repair/),
    });
    await expect(fileStore({ path }).open()).rejects.toMatchObject({ code: "data_loss" });
    await using store = await opened({ path, repair: true });
    await store.write("key", utf8.encode("v"));
    await store.close();
    await using again = await opened({ path });
    expect(await again.read("key")).toBeDefined();
  });

  test.each([
    ["a log that was cut short", /\.log$/, (bytes: Buffer) => bytes.subarray(0, 5000)],
    ["a manifest of nonsense", /^MANIFEST/, (bytes: Buffer) => bytes.fill(7)],
    ["a pointer to no manifest", /^CURRENT/, () => Buffer.from("MANIFEST-999999\n")],
    ["a state of nonsense", /^micro-store/, () => Buffer.from("{")],
  ])("%s is data_loss", async (_what, pattern, change) => {
    const error = await damage(pattern, change);
    expect(error).toMatchObject({ code: "data_loss", message: expect.stringContaining(path) });
  });

  test("a missing table of contents is data_loss and not an empty store", async () => {
    await (await opened({ path })).close();
    rmSync(join(path, "CURRENT"));
    await expect(fileStore({ path }).open()).rejects.toMatchObject({ code: "data_loss" });
  });

  test("a damaged record is data_loss to its reader, and can be replaced or deleted", async () => {
    await (await opened({ path })).close();
    const level = new ClassicLevel<string, string>(path);
    await level.batch(["a", "b"].map((key) => ({ type: "put", key: `r${key}`, value: "junk" })));
    await level.close();
    await using store = await opened({ path });
    await expect(store.read("a")).rejects.toMatchObject({ code: "data_loss" });
    await expect(
      (async () => {
        for await (const _ of store.list());
      })(),
    ).rejects.toMatchObject({ code: "data_loss" });
    await expect(store.write("a", utf8.encode("v"), { ifVersion: 0n })).rejects.toMatchObject({
      code: "data_loss",
    });
    await store.write("a", utf8.encode("v"));
    expect((await store.read("a"))?.value).toEqual(utf8.encode("v"));
    expect(await store.delete("b")).toBe(true);
  });

  test("no changed byte of a record goes unnoticed", () => {
    const key = utf8.encode("key");
    const contents = {
      version: 7n,
      expiresAt: 1234,
      metadata: { a: "b" },
      value: utf8.encode("value"),
    };
    const sound = encodeRecord(key, contents);
    expect(decodeRecord(key, sound)).toEqual(contents);
    expect(decodeRecord(utf8.encode("kez"), sound)).toBeUndefined();
    for (let i = 0; i < sound.length; i++) {
      for (let bit = 0; bit < 8; bit++) {
        const changed = Buffer.from(sound);
        changed[i]! ^= 1 << bit;
        expect(decodeRecord(key, changed)).toBeUndefined();
      }
      expect(decodeRecord(key, sound.subarray(0, i))).toBeUndefined();
    }
  });
});

describe("limits", () => {
  test("refuses changes beyond the limit of pending writes", async () => {
    await using store = await opened({ path });
    const results = await Promise.allSettled(
      Array.from({ length: 10_500 }, () => store.write("key", utf8.encode("v"))),
    );
    const refused = results.filter((result) => result.status === "rejected");
    expect(refused.length).toBeGreaterThan(0);
    for (const { reason } of refused) {
      expect(reason).toMatchObject({ code: "resource_exhausted", outcome: "not-executed" });
    }
    await store.write("key", utf8.encode("room again"));
  });

  test("finishes accepted writes before it closes", async () => {
    const store = await opened({ path });
    const writes = Array.from({ length: 2000 }, (_, i) => store.write(`${i}`, utf8.encode("v")));
    await store.close();
    await Promise.all(writes);
    expect(await entries()).toMatchObject({ r: 2000 });
  });
});
