import { storeContract } from "@micro-es/contract/store";
import { EtcdLink, etcdStore } from "@micro-es/etcd";
import type { StoreEvent } from "@micro-es/runtime";
import { FaultProxy } from "@micro-es/test-support/proxy";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { EtcdAdmin } from "./admin.ts";
import { type EtcdServer, skipWithoutEtcd, startEtcd } from "./server.ts";

const utf8 = new TextEncoder();
const textOf = (value: Uint8Array | undefined) => new TextDecoder().decode(value);

describe.skipIf(skipWithoutEtcd)("store in etcd", () => {
  let server: EtcdServer;
  let admin: EtcdAdmin;
  let stores = 0;
  beforeAll(async () => {
    server = await startEtcd();
    admin = new EtcdAdmin(server.url);
  });
  afterAll(() => server?.close());

  const nextPrefix = () => `/stores/${stores++}`;
  const open = (prefix: string, endpoints = server.url) => {
    const store = etcdStore({ endpoints, prefix });
    onTestFinished(() => store.close());
    return store;
  };
  // A busy machine may take longer than the default to respond.
  const create = async () =>
    etcdStore({ endpoints: server.url, prefix: nextPrefix(), timeoutMs: 30_000 });
  for (const { name, run } of storeContract(create)) test(name, run);

  test("stores plain values as they are, and reads those of other programs", async () => {
    const prefix = nextPrefix();
    const store = open(prefix);
    await store.write("plain", utf8.encode("value"));
    expect((await admin.get(`${prefix}/records/plain`))?.value).toBe("value");
    await store.write("rich", utf8.encode("value"), { metadata: { a: "b" } });
    const rich = await admin.get(`${prefix}/records/rich`);
    expect(rich?.value).toBe('\0micro-es {"metadata":[["a","b"]]}\nvalue');
    await admin.put(`${prefix}/records/other`, "from etcdctl");
    expect(textOf((await store.read("other"))?.value)).toBe("from etcdctl");
  });

  test.each([
    '\0micro-es {"metadata":[["a","b"]]}\nvalue',
    "\0micro-es ",
    "\0micro-es no JSON\n",
    '\0micro-es {"expiresAt":1e300}\nx',
  ])("keeps the value %j, which looks like a record with metadata", async (value) => {
    const store = open(nextPrefix());
    await store.write("key", utf8.encode(value));
    const found = await store.read("key");
    expect([textOf(found?.value), found?.metadata]).toEqual([value, {}]);
  });

  test("attaches expiring records to a lease, and others to none", async () => {
    const prefix = nextPrefix();
    const store = open(prefix);
    const leaseOf = async (key: string) => (await admin.get(`${prefix}/records/${key}`))?.lease;
    await store.write("a", utf8.encode("v"), { ttlMs: 3_600_000 });
    await store.write("b", utf8.encode("v"), { ttlMs: 3_600_000 });
    const lease = await leaseOf("a");
    expect(lease).not.toBe("0");
    expect(await leaseOf("b")).toBe(lease);
    // A lease that etcd has lost is replaced.
    await admin.revoke(lease ?? "");
    expect(await store.read("a")).toBeUndefined();
    await store.write("a", utf8.encode("v"), { ttlMs: 3_600_000 });
    expect(await leaseOf("a")).not.toBe(lease);
    await store.write("a", utf8.encode("v"));
    expect(await leaseOf("a")).toBe("0");
  });

  test("keeps the tokens of locks when etcd removes an expired record", async () => {
    const prefix = nextPrefix();
    const store = open(prefix);
    const under = (token: bigint) => ({ fence: { lock: "orders", token } });
    await store.write("key", utf8.encode("v"), { ...under(7n), ttlMs: 3_600_000 });
    await admin.revoke((await admin.get(`${prefix}/records/key`))?.lease ?? "");
    expect(await store.read("key")).toBeUndefined();
    await expect(store.write("key", utf8.encode("stale"), under(6n))).rejects.toMatchObject({
      code: "aborted",
      outcome: "not-executed",
    });
  });

  test("goes on with a listing whose revision was compacted, without a repetition", async () => {
    const prefix = nextPrefix();
    const store = open(prefix);
    const keys = Array.from({ length: 500 }, (_, index) => `key-${String(index).padStart(3, "0")}`);
    await admin.putAll(keys.map((key) => [`${prefix}/records/${key}`, "v"] as const));
    const seen: string[] = [];
    for await (const { key } of store.list()) {
      seen.push(key);
      if (seen.length !== 10) continue;
      await store.write("key-000", utf8.encode("w"));
      await admin.compact();
    }
    expect(seen).toEqual(keys);
  });

  test("lists values that are too large for one response", async () => {
    const store = open(nextPrefix());
    for (let index = 0; index < 12; index++) {
      await store.write(`key-${index}`, new Uint8Array(1_000_000));
    }
    let count = 0;
    for await (const { value } of store.list()) count += value.length / 1_000_000;
    expect(count).toBe(12);
  });

  test("refuses a value that etcd refuses, as not executed", async () => {
    const store = etcdStore({ endpoints: server.url, prefix: nextPrefix(), maxValueBytes: 4e6 });
    onTestFinished(() => store.close());
    for (const bytes of [1_600_000, 3_000_000]) {
      await expect(store.write("key", new Uint8Array(bytes))).rejects.toMatchObject({
        code: "resource_exhausted",
        outcome: "not-executed",
      });
    }
    await store.write("key", utf8.encode("v"));
  });

  test("watches without a gap: after a cut link by changes, after a compaction by a snapshot", async () => {
    await using proxy = await FaultProxy.start(server.port);
    const prefix = nextPrefix();
    const watching = open(prefix, `http://127.0.0.1:${proxy.port}`);
    const store = open(prefix);
    const events: StoreEvent[] = [];
    const ending = new AbortController();
    const reading = (async () => {
      for await (const event of watching.watch({ signal: ending.signal })) events.push(event);
    })();
    const types = () => events.map(({ type }) => type);
    await expect.poll(types).toEqual(["snapshot"]);
    await store.write("a", utf8.encode("1"));
    proxy.cut();
    await store.write("b", utf8.encode("2"));
    await store.delete("a");
    await expect.poll(types).toEqual(["snapshot", "written", "written", "deleted"]);
    proxy.refuse(true);
    proxy.cut();
    await store.write("c", utf8.encode("2"));
    await store.write("c", utf8.encode("3"));
    await admin.compact();
    proxy.refuse(false);
    await expect.poll(() => types().at(-1)).toBe("snapshot");
    const last = events.at(-1);
    expect(last?.type === "snapshot" && last.records.map(({ key }) => key)).toEqual(["b", "c"]);
    ending.abort();
    await reading;
  });

  test("reports writes cut off before their response as unknown, and none that happened as not executed", async () => {
    await using proxy = await FaultProxy.start(server.port);
    const prefix = nextPrefix();
    const link = new EtcdLink({ endpoints: `http://127.0.0.1:${proxy.port}` });
    onTestFinished(() => link.close());
    const store = etcdStore({ link, prefix });
    await store.read("nothing");
    const direct = open(prefix);
    proxy.swallowResponses(true);
    const keys = Array.from({ length: 100 }, (_, index) => `key-${index}`);
    const writing = keys.map((key) => store.write(key, utf8.encode("v")).catch((error) => error));
    await expect.poll(() => proxy.swallowed).toBeGreaterThan(0);
    await expect.poll(async () => (await admin.get(`${prefix}/records/key-99`))?.value).toBe("v");
    proxy.cut();
    proxy.swallowResponses(false);
    const results = await Promise.all(writing);
    for (const [index, result] of results.entries()) {
      const happened = (await direct.read(keys[index]!)) !== undefined;
      expect(happened).toBe(true);
      expect(result).toMatchObject({ code: "unavailable", outcome: "unknown" });
    }
    await store.close();
  });
});
