import { chmod, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { BackendState } from "../../base/backend-state.ts";
import { MicroError } from "../../base/error.ts";
import { createLogger } from "../../base/logger.ts";
import { fileStore } from "../../store/file/store.ts";
import { memoryStore } from "../../store/memory/store.ts";
import type { Store } from "../../store/store.ts";
import type { Resource, Rule, ScopeGrant } from "../auth.ts";
import { FollowedRecords } from "../followed-records.ts";
import { staticRules } from "../static-rules/rules.ts";
import { storeRules } from "./rules.ts";

const reserve: Resource = { type: "method", name: "acme.stock.v1.StockService/Reserve" };

function rule(values: Partial<Rule> = {}): Rule {
  return {
    id: "r1",
    access: "granted",
    priority: 0,
    resource: { type: "method", name: "acme.stock.*" },
    subject: {},
    ...values,
  };
}

const grant: ScopeGrant = { id: "g1", issuer: "acme", account: "order", scopes: ["stock.write"] };

function write(store: Store, id: string, text: string): Promise<bigint> {
  return store.write(`auth/rules/${id}`, new TextEncoder().encode(text));
}

/** A store whose reads fail as long as `down` is set, and which then recovers. */
function unreliable(store: Store): { readonly store: Store; down: boolean } {
  const control = { down: true, store };
  const fail = () => {
    if (control.down) throw new MicroError("unavailable", "the store is down");
  };
  control.store = new Proxy(store, {
    get(target, name) {
      const value = Reflect.get(target, name, target);
      if (typeof value !== "function") return value;
      if (!["watch", "list", "read", "write", "delete"].includes(String(name))) {
        return value.bind(target);
      }
      return (...args: unknown[]) => {
        fail();
        return value.apply(target, args);
      };
    },
  });
  return control;
}

let directory: string;
let stores = 0;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "micro-rules-"));
});
afterAll(() => rm(directory, { recursive: true }));

const create: Record<string, () => Store> = {
  memory: () => memoryStore(),
  file: () => fileStore({ path: join(directory, `store-${stores++}`) }),
};

describe.each(Object.entries(create))("rules in a %s store", (_name, open) => {
  test("are shared by all that use the store, within a second", async () => {
    await using store = open();
    await using one = storeRules({ store });
    await using other = storeRules({ store });
    await Promise.all([one.open?.(), other.open?.()]);
    expect(other.verify(undefined, reserve)).toBeUndefined();
    await one.grant(rule());
    await one.grant(grant);
    expect(one.verify(undefined, reserve)).toEqual({ access: "granted", rule: "r1" });
    await expect
      .poll(() => other.verify(undefined, reserve), { timeout: 1_000 })
      .toEqual({ access: "granted", rule: "r1" });
    expect(await other.revoke("r1")).toBe(true);
    expect(await other.revoke("r1")).toBe(false);
    await expect.poll(() => one.verify(undefined, reserve), { timeout: 1_000 }).toBeUndefined();
    expect(one.list()).toEqual([grant]);
  });

  test("tell each change, once it is in force", async () => {
    await using store = open();
    await using rules = storeRules({ store });
    await rules.open?.();
    const seen: [number, string[]][] = [];
    const stop = rules.onChange(() => seen.push([rules.version, rules.list().map(({ id }) => id)]));
    await rules.grant(rule());
    stop();
    await rules.grant(rule({ id: "r2" }));
    expect(seen.at(-1)?.[1]).toEqual(["r1"]);
    expect(rules.version).toBeGreaterThan(seen.at(-1)?.[0] ?? 0);
  });

  test("do not overwrite what another process has changed meanwhile", async () => {
    await using store = open();
    await using one = storeRules({ store });
    await using other = storeRules({ store });
    await one.grant(rule());
    await other.open?.();
    const changes = await Promise.allSettled([
      one.grant(rule({ priority: 1 })),
      other.grant(rule({ priority: 2 })),
    ]);
    expect(changes).toEqual([
      { status: "fulfilled", value: undefined },
      { status: "rejected", reason: expect.objectContaining({ code: "aborted" }) },
    ]);
    await expect.poll(() => other.list()).toEqual([rule({ priority: 1 })]);
    await other.grant(rule({ priority: 2 }));
    expect(other.list()).toEqual([rule({ priority: 2 })]);
  });

  test.each<[fault: string, record: string, reason: RegExp]>([
    ["is not JSON", "{", /not a rule/],
    ["is not text", "\u0000", /not a rule/],
    ["is null", "null", /not an object/],
    ["is a list", "[]", /not an object/],
    ["is empty", "{}", /issuer/],
    ["has no resource", `{"access":"granted","priority":0,"subject":{}}`, /no resource/],
    [
      "has a * inside",
      `{"access":"granted","priority":0,"resource":{"type":"method","name":"a*b"},"subject":{}}`,
      /\*/,
    ],
    [
      "has a property that nothing reads",
      `{"access":"granted","priority":0,"resource":{"type":"method","name":"*"},"subject":{},"until":1}`,
      /until/,
    ],
    [
      "has a priority that is not a number",
      `{"access":"granted","priority":"1","resource":{"type":"method","name":"*"},"subject":{}}`,
      /priority/,
    ],
  ])("stay as they were if one record %s", async (_fault, record, reason) => {
    await using store = open();
    const lines: string[] = [];
    await using rules = storeRules({
      store,
      logger: createLogger({ write: (it) => lines.push(it) }),
    });
    await rules.grant(rule({ access: "denied" }));
    const states: [BackendState, string | undefined][] = [];
    rules.onStateChange((state, error) => states.push([state, error?.message]));
    await write(store, "bad", record);
    await write(store, "r1", JSON.stringify({ ...rule(), id: undefined }));
    await expect.poll(() => rules.state).toBe("degraded");
    expect(states[0]?.[1]).toMatch(reason);
    expect(lines.join()).toMatch(/stay in force/);
    expect(rules.verify(undefined, reserve)).toEqual({ access: "denied", rule: "r1" });
    await expect(rules.grant(rule({ id: "r2" }))).rejects.toMatchObject({
      code: "failed_precondition",
    });
    expect(await rules.revoke("bad")).toBe(true);
    expect(rules.state).toBe("healthy");
    expect(rules.verify(undefined, reserve)).toEqual({ access: "granted", rule: "r1" });
  });

  test("deny everything as long as none were loaded that can be used", async () => {
    await using store = open();
    await write(store, "bad", "{");
    const lines: string[] = [];
    await using rules = storeRules({
      store,
      logger: createLogger({ write: (it) => lines.push(it) }),
    });
    await rules.open?.();
    expect(rules.state).toBe("lost");
    expect(rules.verify(undefined, reserve)).toMatchObject({ access: "denied" });
    expect(lines.join()).toMatch(/every access is denied/);
    await rules.grant(rule({ id: "bad" }));
    expect(rules.state).toBe("healthy");
    expect(rules.verify(undefined, reserve)).toEqual({ access: "granted", rule: "bad" });
  });

  test("stay in force when the store is closed", async () => {
    const store = open();
    await using rules = storeRules({ store });
    await rules.grant(rule());
    await store.close();
    await expect.poll(() => rules.state).toBe("degraded");
    expect(rules.verify(undefined, reserve)).toEqual({ access: "granted", rule: "r1" });
    await expect(rules.grant(rule({ id: "r2" }))).rejects.toMatchObject({ code: "unavailable" });
    await expect(rules.revoke("r1")).rejects.toMatchObject({ code: "unavailable" });
  });
});

describe("a start while the store is down", () => {
  test("denies everything and says so, until the store is back", async () => {
    await using memory = memoryStore();
    await using before = storeRules({ store: memory });
    await before.grant(rule());
    const control = unreliable(memory);
    const lines: string[] = [];
    await using rules = storeRules({
      store: control.store,
      logger: createLogger({ write: (it) => lines.push(it) }),
    });
    await rules.open?.();
    expect(rules.state).toBe("lost");
    expect(rules.verify(undefined, reserve)).toMatchObject({ access: "denied" });
    expect(lines.join()).toMatch(/every access is denied.*the store is down/);
    await expect(rules.grant(rule())).rejects.toMatchObject({ code: "unavailable" });
    control.down = false;
    await expect.poll(() => rules.verify(undefined, reserve)?.access).toBe("granted");
    expect(rules.state).toBe("healthy");
  });

  test("uses the rules that were kept", async () => {
    await using memory = memoryStore();
    const lastKnownGood = join(directory, "kept.json");
    {
      await using rules = storeRules({ store: memory, lastKnownGood });
      await rules.grant(rule());
    }
    expect((await stat(lastKnownGood)).mode & 0o777).toBe(0o600);
    const control = unreliable(memory);
    await using rules = storeRules({ store: control.store, lastKnownGood });
    await rules.open?.();
    expect(rules.state).toBe("degraded");
    expect(rules.verify(undefined, reserve)).toEqual({ access: "granted", rule: "r1" });
    await before(memory);
    control.down = false;
    await expect.poll(() => rules.verify(undefined, reserve)?.access).toBe("denied");
    expect(rules.state).toBe("healthy");

    async function before(store: Store): Promise<void> {
      await using others = storeRules({ store });
      await others.grant(rule({ id: "r2", access: "denied" }));
    }
  });

  test("does not use kept rules that others may have written, or that are damaged", async () => {
    await using memory = memoryStore();
    const lastKnownGood = join(directory, "damaged.json");
    for (const [text, mode] of [
      ["{", 0o600],
      ['{"format":1,"rules":[]}', 0o666],
      ['{"format":1,"rules":[{"id":"r1"}]}', 0o600],
    ] as const) {
      await rm(lastKnownGood, { force: true });
      await writeFile(lastKnownGood, text, { mode });
      if (mode === 0o666) await chmod(lastKnownGood, mode);
      const lines: string[] = [];
      await using rules = storeRules({
        store: unreliable(memory).store,
        lastKnownGood,
        logger: createLogger({ write: (it) => lines.push(it) }),
      });
      await rules.open?.();
      expect(rules.verify(undefined, reserve)).toMatchObject({ access: "denied" });
      expect(lines.join()).toMatch(/kept rules are not used/);
    }
    expect(await readFile(lastKnownGood, "utf8")).toContain("r1");
  });
});

test("a store without a watch is read again and again", async () => {
  await using memory = memoryStore();
  const unwatched = new Proxy(memory, {
    get(target, name) {
      if (name === "guarantees") return { ...target.guarantees, watch: false };
      const value = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  const seen: number[] = [];
  await using followed = new FollowedRecords(
    unwatched,
    "auth/rules/",
    {
      changed: (event) => seen.push(event.type === "snapshot" ? event.records.length : -1),
      failing: () => {},
    },
    5,
  );
  await followed.open(1_000);
  await write(memory, "r1", "{}");
  await expect.poll(() => seen.at(-1)).toBe(1);
});

test("rules need a store with compare-and-set", () => {
  const store = new Proxy(memoryStore(), {
    get: (target, name) =>
      name === "guarantees"
        ? { ...target.guarantees, compareAndSet: false }
        : Reflect.get(target, name, target),
  });
  expect(() => storeRules({ store })).toThrow(/compare-and-set/);
  expect(() => storeRules({} as never)).toThrow(/store must be/);
});

describe("static rules", () => {
  test("never change, not even by what they were made of", async () => {
    const entry = { ...rule(), subject: {} as { account?: string } };
    await using rules = staticRules([entry, grant]);
    entry.subject.account = "another";
    expect(rules.verify(undefined, reserve)).toEqual({ access: "granted", rule: "r1" });
    await expect(rules.grant(rule())).rejects.toMatchObject({ code: "unimplemented" });
    await expect(rules.revoke("r1")).rejects.toMatchObject({ code: "unimplemented" });
    expect(() => staticRules([rule(), rule()])).toThrow(/two rules have the id/);
  });
});
