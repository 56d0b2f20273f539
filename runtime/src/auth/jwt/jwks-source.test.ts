import { chmod, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type IssuedKey, issuedKey } from "../../../../test/support/token-issuer.ts";
import { BackendStatus } from "../../base/backend-state.ts";
import { silentLogger } from "../../base/logger.ts";
import { KeptFile } from "../kept-file.ts";
import type { VerificationKey } from "../verification-key.ts";
import { JwksSource, type JwksSourceParts } from "./jwks-source.ts";
import { type KeptKeySet, readKeptKeySet } from "./kept-key-set.ts";

const [one, two] = [issuedKey("EdDSA", "one"), issuedKey("ES256", "two")];
const minute = 60_000;
const hour = 60 * minute;

let folder: string;
const open: JwksSource[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "micro-jwks-"));
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date", "performance"] });
});

afterEach(async () => {
  for (const source of open.splice(0)) await source.close();
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
  await rm(folder, { recursive: true });
});

/** An issuer in the test's hands, and a source that reads its keys. */
function issuerWith(...keys: readonly IssuedKey[]) {
  const removed: VerificationKey[] = [];
  const status = new BackendStatus();
  const issuer = {
    keys,
    reads: 0,
    /** In place of the keys. */
    respond: undefined as ((signal: AbortSignal) => Promise<string>) | undefined,
    removed,
    status,
    source(parts: Partial<JwksSourceParts> = {}) {
      const source = new JwksSource({
        origin: {
          place: "https://issuer.example/jwks",
          read: async (signal) => {
            issuer.reads++;
            if (issuer.respond !== undefined) return issuer.respond(signal);
            return JSON.stringify({ keys: issuer.keys.map(({ jwk }) => jwk) });
          },
        },
        algorithms: ["EdDSA", "ES256", "RS256"],
        refreshMs: 5 * minute,
        maxStaleMs: 24 * hour,
        kept: undefined,
        status,
        logger: silentLogger,
        onRemoved: (keys) => removed.push(...keys),
        ...parts,
      });
      open.push(source);
      return source;
    },
  };
  return issuer;
}

const failing = async (): Promise<string> => {
  throw new Error("connection refused");
};

test("a key is read at first use, once for all that ask", async () => {
  const issuer = issuerWith(one);
  const source = issuer.source();
  const found = await Promise.all(Array.from({ length: 100 }, () => source.key("one")));
  expect(new Set(found).size).toBe(1);
  expect(found[0]?.algorithm).toBe("EdDSA");
  expect(issuer.reads).toBe(1);
  expect(source.key("one")).toBe(found[0]);
  expect(issuer.status.state).toBe("healthy");
});

test("the set is read again after five minutes, give or take a fifth", async () => {
  const issuer = issuerWith(one);
  await issuer.source().open();
  await vi.advanceTimersByTimeAsync(4 * minute - 1);
  expect(issuer.reads).toBe(1);
  await vi.advanceTimersByTimeAsync(2 * minute + 1);
  expect(issuer.reads).toBe(2);
});

test("while the issuer fails and hangs, one token by an unknown key waits, and others do not", async () => {
  const issuer = issuerWith(one);
  const source = issuer.source();
  await source.open();
  const known = source.key("one");
  issuer.respond = (signal) =>
    new Promise((_, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason));
    });
  await vi.advanceTimersByTimeAsync(30_000);
  // The failure is not known yet: all wait for the end of one read.
  const early = ["a", "b", "c"].map((id) => source.key(id));
  await vi.advanceTimersByTimeAsync(5_000);
  expect(await Promise.all(early)).toEqual([undefined, undefined, undefined]);
  expect(issuer.reads).toBe(2);

  await vi.advanceTimersByTimeAsync(25_001);
  let waits = true;
  const first = Promise.resolve(source.key("d")).finally(() => {
    waits = false;
  });
  await vi.advanceTimersByTimeAsync(0);
  expect(issuer.reads).toBe(3);
  for (const id of ["e", "f"]) {
    await expect(source.key(id)).rejects.toMatchObject({ code: "unavailable" });
  }
  expect(source.key("one")).toBe(known);
  expect(waits).toBe(true);
  await vi.advanceTimersByTimeAsync(5_000);
  expect(await first).toBeUndefined();
});

test("10,000 unknown ids make a request each 30 seconds at most", async () => {
  const issuer = issuerWith(one);
  const source = issuer.source();
  await source.open();
  const ask = (name: string) =>
    Promise.all(Array.from({ length: 10_000 }, (_, i) => source.key(`${name} ${i}`)));
  expect(new Set(await ask("first"))).toEqual(new Set([undefined]));
  expect(issuer.reads).toBe(1);
  await vi.advanceTimersByTimeAsync(30_000);
  await ask("second");
  await ask("third");
  expect(issuer.reads).toBe(2);
  // Failed ones count as well.
  issuer.respond = failing;
  await vi.advanceTimersByTimeAsync(30_000);
  await ask("fourth");
  await ask("fifth");
  expect(issuer.reads).toBe(3);
  expect(await source.key("one")).toBeDefined();
});

test("a key that was added is found by the first token that names it", async () => {
  const issuer = issuerWith(one);
  const source = issuer.source();
  await source.open();
  await vi.advanceTimersByTimeAsync(minute);
  issuer.keys = [one, two];
  expect(await source.key("two")).toBeDefined();
  expect(issuer.removed).toEqual([]);
});

test("a key that left the set is dead at the refresh, and so is one with other content", async () => {
  const issuer = issuerWith(one, two);
  const source = issuer.source();
  const [first, second] = [await source.key("one"), await source.key("two")];
  issuer.keys = [two];
  await vi.advanceTimersByTimeAsync(6 * minute);
  expect(issuer.removed).toEqual([first]);
  expect(source.holds(first!)).toBe(false);
  expect(await source.key("one")).toBeUndefined();
  expect(source.key("two")).toBe(second);
  issuer.keys = [issuedKey("ES256", "two")];
  await vi.advanceTimersByTimeAsync(6 * minute);
  expect(issuer.removed).toEqual([first, second]);
  expect(source.key("two")).not.toBe(second);
});

test.each<[string, (signal: AbortSignal) => Promise<string>]>([
  ["is down", failing],
  ["sends HTML", async () => "<!doctype html><title>Sign in</title>"],
  ["sends a list", async () => "[]"],
  ["sends an error", async () => '{"error":"not_found"}'],
  ["sends 65 keys", async () => JSON.stringify({ keys: Array(65).fill(one.jwk) })],
  ["sends a repeated name", async () => `{"keys":[],"keys":[${JSON.stringify(one.jwk)}]}`],
  ["never responds", untilAborted],
])("while the issuer %s, the last keys serve for a day, then none", async (_, respond) => {
  const issuer = issuerWith(one);
  const source = issuer.source();
  await source.open();
  issuer.respond = respond;
  await vi.advanceTimersByTimeAsync(6 * minute + 5_000);
  expect(issuer.status.state).toBe("degraded");
  await vi.advanceTimersByTimeAsync(23 * hour);
  expect(source.key("one")).toBeDefined();
  // One each 30 seconds at most.
  expect(issuer.reads).toBeLessThan(2 * 60 * 24);
  await vi.advanceTimersByTimeAsync(hour + minute);
  expect(issuer.status.state).toBe("lost");
  await refusedWithin5s(source);
  issuer.respond = undefined;
  await vi.advanceTimersByTimeAsync(minute);
  expect(await source.key("one")).toBeDefined();
  expect(issuer.status.state).toBe("healthy");
});

/** A read that is under way may take 5 seconds. */
async function refusedWithin5s(source: JwksSource): Promise<void> {
  const refused = expect(source.key("one")).rejects.toMatchObject({
    code: "unavailable",
    outcome: "not-executed",
  });
  await vi.advanceTimersByTimeAsync(5_000);
  await refused;
}

function untilAborted(signal: AbortSignal): Promise<string> {
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}

test("without any keys the issuer is asked again soon, and tokens are not judged", async () => {
  const issuer = issuerWith(one);
  issuer.respond = failing;
  const source = issuer.source();
  await source.open();
  expect(issuer.status.state).toBe("lost");
  await expect(source.key("one")).rejects.toMatchObject({ code: "unavailable" });
  issuer.respond = undefined;
  await vi.advanceTimersByTimeAsync(1_300);
  expect(await source.key("one")).toBeDefined();
  expect(issuer.status.state).toBe("healthy");
});

test("an empty set takes effect, and is a state", async () => {
  const issuer = issuerWith(one);
  const source = issuer.source();
  await source.open();
  issuer.keys = [];
  await vi.advanceTimersByTimeAsync(6 * minute);
  expect(issuer.removed).toHaveLength(1);
  expect(await source.key("one")).toBeUndefined();
  expect(issuer.status.state).toBe("degraded");
});

test("a process starts with the keys of an earlier one, while the issuer does not respond", async () => {
  const path = join(folder, "keys.json");
  const issuer = issuerWith(one);
  const earlier = issuer.source({ kept: keptAt(path) });
  await earlier.open();
  await earlier.close();
  expect((await stat(path)).mode & 0o777).toBe(0o600);

  issuer.respond = untilAborted;
  const source = issuer.source({ kept: keptAt(path) });
  await source.open();
  expect(source.key("one")).toBeDefined();
  // The age of the copy counts.
  await source.close();
  vi.setSystemTime(Date.now() + 23 * hour);
  const later = issuer.source({ kept: keptAt(path) });
  await later.open();
  expect(later.key("one")).toBeDefined();
  await vi.advanceTimersByTimeAsync(hour + 1);
  await refusedWithin5s(later);
});

test.each<[string, (path: string) => Promise<void>]>([
  ["of another issuer", (path) => keep(path, { place: "https://other.example/jwks" })],
  ["from the future", (path) => keep(path, { readAtMs: Date.now() + hour })],
  ["older than a day", (path) => keep(path, { readAtMs: Date.now() - 25 * hour })],
  ["that is damaged", (path) => writeFile(path, "{")],
  ["that others can write to", (path) => keep(path, {}, 0o666)],
])("a copy %s is not used", async (_, write) => {
  const path = join(folder, "keys.json");
  await write(path);
  const issuer = issuerWith(one);
  issuer.respond = failing;
  const source = issuer.source({ kept: keptAt(path) });
  await source.open();
  await expect(source.key("one")).rejects.toMatchObject({ code: "unavailable" });
});

const place = "https://issuer.example/jwks";

function keptAt(path: string): KeptFile<KeptKeySet> {
  return new KeptFile(path, "the key set", (kept) => readKeptKeySet(kept, place));
}

async function keep(path: string, changes: object, mode = 0o600): Promise<void> {
  const keySet = JSON.stringify({ keys: [one.jwk] });
  const kept = { format: 1, place, readAtMs: Date.now(), keySet, ...changes };
  await writeFile(path, JSON.stringify(kept));
  await chmod(path, mode);
}

test("closing ends a read, and nothing is read afterwards", async () => {
  const issuer = issuerWith(one);
  issuer.respond = untilAborted;
  const source = issuer.source();
  const key = source.key("one");
  const refused = expect(key).rejects.toMatchObject({ code: "unavailable" });
  await vi.waitFor(() => expect(issuer.reads).toBe(1));
  await source.close();
  await refused;
  await vi.advanceTimersByTimeAsync(hour);
  expect(issuer.reads).toBe(1);
  await expect(source.key("one")).rejects.toMatchObject({ code: "unavailable" });
});
