import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RedisLink, type RedisOptions, redisSource, redisStore, redisSync } from "@micro-es/redis";
import { TestAuthority } from "@micro-es/test-support/certificates";
import { errorOf } from "@micro-es/test-support/server";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { command } from "./admin.ts";
import { type RedisServer, skipWithoutRedis, startRedis } from "./server.ts";

const value = new Uint8Array([1]);

describe.skipIf(skipWithoutRedis)("a Redis with users", () => {
  let server: RedisServer;
  let who: RedisOptions;
  beforeAll(async () => {
    server = await startRedis();
    const rights = "~micro:* &micro:* +@all -@dangerous +info +config|get +client|unblock".split(
      " ",
    );
    const root = { servers: server.address };
    await command(root, "ACL", "SETUSER", "app", "on", ">s3cret", ...rights);
    await command(root, "ACL", "SETUSER", "bare", "on", ">s3cret", ...rights.slice(0, 4));
    who = { servers: server.address, user: "app", password: "s3cret" };
  });
  afterAll(() => server?.close());

  test("has all parts for a user with the rights of the documentation", async () => {
    const options = { ...who, durability: "power-loss" as const };
    await using store = redisStore(options);
    const watch = store.watch()[Symbol.asyncIterator]();
    expect((await watch.next()).value).toMatchObject({ type: "snapshot" });
    await store.write("key", value);
    expect((await watch.next()).value).toMatchObject({ type: "written" });
    await watch.return?.();
    await using one = redisSync(options);
    await using two = redisSync(options);
    const lock = await one.lock("orders");
    const next = two.lock("orders");
    await lock.unlock();
    expect((await next).token).toBeGreaterThan(lock.token);
    await using source = redisSource(options);
    expect(await source.load()).toEqual({});
  });

  test("works without the right to see the configuration, and promises nothing then", async () => {
    await using store = redisStore({ ...who, user: "bare" });
    await store.write("key", value);
    await using durable = redisStore({ ...who, user: "bare", durability: "process-crash" });
    const failed = await errorOf(durable.read("key"));
    expect(failed).toMatchObject({ code: "failed_precondition" });
    expect(failed.message).toMatch(/does not allow CONFIG GET and INFO/);
  });

  test("a wrong password, and keys without rights, are errors that say so", async () => {
    await using wrong = redisStore({ ...who, password: "guess" });
    const refused = await errorOf(wrong.write("key", value));
    expect(refused).toMatchObject({ code: "unauthenticated", outcome: "not-executed" });
    expect(refused.message).not.toContain("guess");
    await using elsewhere = redisStore({ ...who, prefix: "other" });
    const denied = { code: "permission_denied", outcome: "not-executed" };
    expect(await errorOf(elsewhere.write("key", value))).toMatchObject(denied);
    expect(await errorOf(elsewhere.read("key"))).toMatchObject(denied);
  });

  test("asks for the password that a server needs", async () => {
    await using closed = await startRedis({ flags: ["--requirepass", "s3cret"] });
    await using without = redisStore({ servers: closed.address });
    expect(await errorOf(without.read("key"))).toMatchObject({ code: "unauthenticated" });
    await using store = redisStore({ servers: closed.address, password: "s3cret" });
    await store.write("key", value);
  });
});

describe.skipIf(skipWithoutRedis)("a Redis by TLS", () => {
  const directory = mkdtempSync(join(tmpdir(), "micro-redis-tls-"));
  const authority = new TestAuthority();
  let server: RedisServer;
  let tls: { readonly ca: string; readonly cert: string; readonly key: string };
  beforeAll(async () => {
    const own = authority.issue({ names: ["IP:127.0.0.1", "DNS:localhost"] });
    const files = { "cert-file": own.cert, "key-file": own.key, "ca-cert-file": authority.ca };
    const flags = Object.entries(files).flatMap(([name, pem]) => {
      const path = join(directory, `${name}.pem`);
      writeFileSync(path, pem, { mode: 0o600 });
      return [`--tls-${name}`, path];
    });
    server = await startRedis({ tls: true, flags });
    const { cert, key } = authority.issue({ names: ["DNS:client"] });
    tls = { ca: authority.ca, cert, key };
  });
  afterAll(async () => {
    await server?.close();
    authority[Symbol.dispose]();
    rmSync(directory, { recursive: true });
  });

  test("connects with the client certificate that the server requires", async () => {
    for (const host of ["127.0.0.1", "localhost"]) {
      await using store = redisStore({ servers: `${host}:${server.port}`, tls });
      await store.write("key", value);
      expect((await store.read("key"))?.value).toEqual(value);
    }
  });

  test("refuses a server with an untrusted certificate, and is refused without one", async () => {
    const limits = { servers: server.address, startTimeoutMs: 0, timeoutMs: 1_000 };
    await using strict = redisStore({ ...limits, tls: true });
    expect((await errorOf(strict.read("key"))).message).toMatch(/certificate/);
    await using bare = redisStore({ ...limits, tls: { ca: authority.ca } });
    expect(await errorOf(bare.read("key"))).toMatchObject({ code: "unavailable" });
    await using plain = redisStore(limits);
    expect(await errorOf(plain.read("key"))).toMatchObject({ code: "unavailable" });
  });
});

test.each<[Parameters<typeof redisStore>[0], RegExp]>([
  [{ servers: "redis://host" }, /"redis:\/\/host" is not an address of Redis/],
  [{ servers: "ada:s3cret@host" }, /"…@host" is not an address/],
  [{ servers: [] }, /servers must be addresses/],
  [{ servers: "host:99999" }, /is not an address/],
  [{ user: "ada" }, /a user only with its password/],
  [{ prefix: "{x}" }, /prefix must be up to 200 visible characters/],
  [{ durability: "disk" as never }, /durability must be/],
  [{ database: -1 }, /database must be the number/],
  [{ timeoutMs: 0 }, /timeoutMs/],
])("refuses the options %o", (options, message) => {
  expect(() => redisStore(options)).toThrow(message);
  expect(() => redisStore(options)).not.toThrow(/s3cret/);
});

test("refuses invalid options of a link", () => {
  expect(() => new RedisLink({ servers: "" })).toThrow(/servers/);
});
