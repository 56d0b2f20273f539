import { setTimeout as sleep } from "node:timers/promises";
import { configSourceContract } from "@micro-es/contract/config";
import { registryContract } from "@micro-es/contract/registry";
import { syncContract } from "@micro-es/contract/sync";
import type { Node } from "@micro-es/runtime";
import { startProgram } from "@micro-es/test-support/argument-program";
import { TestAuthority } from "@micro-es/test-support/certificates";
import { ZooKeeperLink, zooKeeperRegistry, zooKeeperSync } from "@micro-es/zookeeper";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { create, getData, setData, sync } from "../src/wire/operations.ts";
import { ZooKeeperAdmin } from "./admin.ts";
import { znodesFixture } from "./config-keys.ts";
import { leaderOf, skipWithoutZooKeeper, startEnsemble, type ZooKeeperServer } from "./server.ts";

const nodeFile = new URL("registry-node.ts", import.meta.url).href;
const acl = [{ permissions: 31, scheme: "world", id: "anyone" }];

describe.skipIf(skipWithoutZooKeeper)("an ensemble of three of which the leader has died", () => {
  const authority = new TestAuthority();
  let members: readonly ZooKeeperServer[] = [];
  let admin: ZooKeeperAdmin;
  let names = 0;
  const { cert, key } = authority.issue({ names: ["DNS:client"] });
  const tls = { ca: authority.ca, cert, key };
  const addresses = (kind: "address" | "secureAddress") => members.map((each) => each[kind]);
  const withUser = () => ({ servers: addresses("address"), user: "ada", password: "s3cret" });
  const byTls = () => ({ servers: addresses("secureAddress"), tls });
  const nextRoot = () => `/ensemble/${names++}`;
  beforeAll(async () => {
    members = await startEnsemble(3, { authority });
    await (await leaderOf(members))?.stop();
    admin = new ZooKeeperAdmin(addresses("address").join(","));
    while ((await leaderOf(members)) === undefined) await sleep(20);
  }, 120_000);
  afterAll(async () => {
    await admin?.close();
    for (const member of members) await member.close();
    authority[Symbol.dispose]();
  });

  describe("registry, by TLS", () => {
    const make = async () => {
      const options = { ...byTls(), root: nextRoot() };
      return {
        connect: () => zooKeeperRegistry(options),
        spawn: (node: Node, ttlMs: number) =>
          startProgram(nodeFile, { options, nodes: [node], ttlMs }),
      };
    };
    for (const { name, run } of registryContract(make)) test(name, run);
  });
  describe("sync, with a user", () => {
    const make = async () => {
      const options = { ...withUser(), root: nextRoot() };
      return { connect: () => zooKeeperSync(options) };
    };
    for (const { name, run } of syncContract(make)) test(name, run);
  });
  describe("config source, by TLS", () => {
    const make = () => znodesFixture(byTls(), nextRoot(), admin);
    for (const { name, run } of configSourceContract(make)) test(name, run);
  });
});

describe.skipIf(skipWithoutZooKeeper)("an ensemble of three whose members die in turn", () => {
  let members: readonly ZooKeeperServer[] = [];
  beforeAll(async () => {
    members = await startEnsemble(3);
  }, 120_000);
  afterAll(async () => {
    for (const member of members) await member.close();
  });

  test("keeps the session with what is ephemeral, and loses no write that it confirmed", async () => {
    const servers = members.map(({ address }) => address);
    await using link = new ZooKeeperLink({ servers, sessionTimeoutMs: 10_000 });
    await link.call(create({ path: "/counter", data: Buffer.from("0"), acl }), "create");
    const ephemeral = { path: "/mine", data: Buffer.from(""), acl, isEphemeral: true };
    await link.call(create(ephemeral), "create");
    const { sessionId } = link;
    const epochs = new Set<bigint>();
    let [confirmed, unknown, over] = [0, 0, false];
    const counting = (async () => {
      while (!over) {
        try {
          const [, { data, stat }] = await link.callAll(
            [sync("/counter"), getData("/counter")],
            "read",
          );
          const next = Buffer.from(`${Number(data) + 1}`);
          const { mzxid } = await link.call(setData("/counter", next, stat.version), "count");
          confirmed++;
          epochs.add(mzxid >> 32n);
        } catch (error) {
          if ((error as { outcome?: string }).outcome === "unknown") unknown++;
          await sleep(20);
        }
      }
    })();
    for (let turn = 0; turn < 2; turn++) {
      const before = confirmed;
      await expect.poll(() => confirmed, { timeout: 30_000 }).toBeGreaterThan(before);
      const leader = await leaderOf(members);
      await leader?.stop();
      const after = confirmed;
      // Another one leads, and the link has found it.
      await expect.poll(() => confirmed, { timeout: 40_000 }).toBeGreaterThan(after + 1);
      await leader?.start();
    }
    over = true;
    await counting;
    const [, { data }] = await link.callAll([sync("/counter"), getData("/counter")], "read");
    expect(Number(data)).toBeGreaterThanOrEqual(confirmed);
    expect(Number(data)).toBeLessThanOrEqual(confirmed + unknown);
    expect(epochs.size).toBeGreaterThan(1);
    expect(link.sessionId).toBe(sessionId);
    const mine = await link.call(getData("/mine"), "read");
    expect(mine.stat.ephemeralOwner).toBe(sessionId);
  });
});
