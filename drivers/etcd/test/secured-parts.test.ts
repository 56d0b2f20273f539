import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { configSourceContract } from "@micro-es/contract/config";
import { storeContract } from "@micro-es/contract/store";
import { syncContract } from "@micro-es/contract/sync";
import { type EtcdOptions, etcdSource, etcdStore, etcdSync } from "@micro-es/etcd";
import type { StoreEvent } from "@micro-es/runtime";
import { TestAuthority } from "@micro-es/test-support/certificates";
import { errorOf } from "@micro-es/test-support/server";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EtcdAdmin } from "./admin.ts";
import { keysFixture } from "./config-keys.ts";
import { type EtcdServer, skipWithoutEtcd, startEtcd } from "./server.ts";

const utf8 = new TextEncoder();

describe.skipIf(skipWithoutEtcd)("store, sync and config in an etcd with TLS and users", () => {
  const directory = mkdtempSync(join(tmpdir(), "micro-etcd-secured-"));
  const authority = new TestAuthority();
  let server: EtcdServer;
  let admin: EtcdAdmin;
  let options: EtcdOptions;
  let names = 0;
  beforeAll(async () => {
    const own = authority.issue({ names: ["IP:127.0.0.1", "DNS:localhost"] });
    const file = (name: string, pem: string) => {
      const path = join(directory, `${name}.pem`);
      writeFileSync(path, pem, { mode: 0o600 });
      return path;
    };
    const flags = ["--cert-file", file("cert", own.cert), "--key-file", file("key", own.key)];
    const clients = ["--trusted-ca-file", file("ca", authority.ca), "--client-cert-auth"];
    // Tokens expire within the contracts.
    const users = ["--auth-token-ttl", "2", "--bcrypt-cost", "4"];
    server = await startEtcd({ scheme: "https", flags: [...flags, ...clients, ...users] });
    const who = { user: "ada", password: "s3cret" };
    await new EtcdAdmin(server.plainUrl).secure(who.user, who.password);
    admin = new EtcdAdmin(server.plainUrl, who);
    const { cert, key } = authority.issue({ names: ["DNS:client"] });
    options = { endpoints: server.url, tls: { ca: authority.ca, cert, key }, ...who };
  });
  afterAll(async () => {
    await server?.close();
    authority[Symbol.dispose]();
    rmSync(directory, { recursive: true });
  });

  const nextPrefix = () => `/secured/${names++}`;
  describe("store", () => {
    const create = async () => etcdStore({ ...options, prefix: nextPrefix(), timeoutMs: 30_000 });
    for (const { name, run } of storeContract(create)) test(name, run);
  });
  describe("sync", () => {
    const create = async () => {
      const prefix = nextPrefix();
      return { connect: () => etcdSync({ ...options, prefix }) };
    };
    for (const { name, run } of syncContract(create)) test(name, run);
  });
  describe("config source", () => {
    const create = () => keysFixture(options, nextPrefix(), admin);
    for (const { name, run } of configSourceContract(create)) test(name, run);
  });

  test("replaces expired tokens without a failure, and without missing a change", async () => {
    const prefix = nextPrefix();
    await using store = etcdStore({ ...options, prefix });
    await using watching = etcdStore({ ...options, prefix });
    const events: StoreEvent[] = [];
    const ending = new AbortController();
    const reading = (async () => {
      for await (const event of watching.watch({ signal: ending.signal })) events.push(event);
    })();
    await expect.poll(() => events.length).toBe(1);
    // Longer than tokens live, with nothing that would renew them.
    await sleep(3_500);
    await store.write("a", utf8.encode("1"));
    await sleep(3_500);
    await store.write("a", utf8.encode("2"));
    expect((await watching.read("a"))?.value).toEqual(utf8.encode("2"));
    await expect
      .poll(() => events.map(({ type }) => type))
      .toEqual(["snapshot", "written", "written"]);
    ending.abort();
    await reading;
  });

  test("a user without rights is refused, as not executed", async () => {
    await using store = etcdStore({ ...options, prefix: "outside" });
    await using sync = etcdSync({ ...options, prefix: "outside" });
    await using source = etcdSource({ ...options, prefix: "outside" });
    const refused = { code: "permission_denied", outcome: "not-executed" };
    expect(await errorOf(store.write("key", utf8.encode("v")))).toMatchObject(refused);
    expect(await errorOf(store.delete("key"))).toMatchObject(refused);
    expect(await errorOf(sync.lock("orders"))).toMatchObject(refused);
    expect(await errorOf(source.load())).toMatchObject(refused);
  });
});
