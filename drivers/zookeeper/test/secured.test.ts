import { TestAuthority } from "@micro-es/test-support/certificates";
import { errorOf } from "@micro-es/test-support/server";
import {
  ZooKeeperLink,
  type ZooKeeperOptions,
  type ZooKeeperTlsOptions,
  zooKeeperSource,
  zooKeeperSync,
} from "@micro-es/zookeeper";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { create } from "../src/wire/operations.ts";
import { ZooKeeperAdmin } from "./admin.ts";
import { skipWithoutZooKeeper, startZooKeeper, type ZooKeeperServer } from "./server.ts";

describe.skipIf(skipWithoutZooKeeper)("parts with a user of the digest scheme", () => {
  let server: ZooKeeperServer;
  beforeAll(async () => {
    server = await startZooKeeper();
  });
  afterAll(() => server?.close());

  test("create znodes that no one else may use", async () => {
    const options = { servers: server.address, user: "ada", password: "s3cret" };
    await using sync = zooKeeperSync(options);
    const lock = await sync.lock("orders");
    await using other = zooKeeperSync({ ...options, password: "s3cret" });
    expect(await errorOf(other.lock("orders", { waitMs: 0 }))).toMatchObject({
      code: "deadline_exceeded",
    });
    for (const who of [{}, { user: "ada", password: "wr0ng" }]) {
      await using stranger = zooKeeperSync({ servers: server.address, ...who });
      const refused = await errorOf(stranger.lock("orders", { waitMs: 0 }));
      expect(refused).toMatchObject({ code: "permission_denied", outcome: "not-executed" });
      expect(refused.message).not.toMatch(/wr0ng|s3cret/);
    }
    expect(await lock.unlock()).toBe(true);
    await using admin = new ZooKeeperAdmin(server.address, options);
    await admin.link.call(
      create({
        path: "/micro/config",
        data: Buffer.from('{"port":8080}'),
        acl: [{ permissions: 31, scheme: "auth", id: "" }],
      }),
      "create",
    );
    await using source = zooKeeperSource(options);
    expect(await source.load()).toEqual({ port: 8080 });
    await using stranger = zooKeeperSource({ servers: server.address });
    expect(await errorOf(stranger.load())).toMatchObject({ code: "permission_denied" });
  });
});

describe.skipIf(skipWithoutZooKeeper)("sync in a ZooKeeper by TLS", () => {
  const authority = new TestAuthority();
  let server: ZooKeeperServer;
  let tls: ZooKeeperTlsOptions;
  let servers: string;
  beforeAll(async () => {
    server = await startZooKeeper({ authority });
    servers = server.secureAddress;
    const { cert, key } = authority.issue({ names: ["DNS:client"] });
    tls = { ca: authority.ca, cert, key };
  });
  afterAll(async () => {
    await server?.close();
    authority[Symbol.dispose]();
  });

  test("locks with the client certificate that ZooKeeper requires", async () => {
    await using sync = zooKeeperSync({ servers, tls });
    await using lock = await sync.lock("orders");
    expect(lock.held).toBe(true);
    await using plain = zooKeeperSync({ servers: server.address });
    expect(await plain.locks()).toMatchObject([{ id: "orders" }]);
  });

  test("refuses an untrusted certificate, and is refused without one", async () => {
    const limits = { startTimeoutMs: 0, timeoutMs: 5_000 };
    await using strict = zooKeeperSync({ servers, tls: true, ...limits });
    expect((await errorOf(strict.lock("orders"))).message).toMatch(/certificate/);
    const { ca = "" } = tls;
    await using bare = zooKeeperSync({ servers, tls: { ca }, ...limits });
    expect(await errorOf(bare.lock("orders"))).toMatchObject({
      code: "unavailable",
      outcome: "not-executed",
    });
  });
});

test.each<[ZooKeeperOptions, RegExp]>([
  [{ servers: "ftp://host" }, /"ftp:\/\/host" is not the address of a ZooKeeper server; use host/],
  [{ servers: "ada:s3cret@host" }, /"…@host" is not the address/],
  [{ servers: ["host:70000"] }, /is not the address/],
  [{ servers: "" }, /servers must be/],
  [{ servers: [] }, /servers must be/],
  [{ user: "a:b", password: "s3cret" }, /user must be a name without ":"/],
  [{ password: "s3cret" }, /user and password together/],
  [{ sessionTimeoutMs: 0 }, /sessionTimeoutMs/],
])("refuses the options %o", (options, message) => {
  for (const make of [() => new ZooKeeperLink(options), () => zooKeeperSync(options)]) {
    expect(make).toThrow(message);
    expect(make).not.toThrow(/s3cret/);
  }
});
