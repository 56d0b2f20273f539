import { configSourceContract } from "@micro-es/contract/config";
import { changesTogether, changesToNothing } from "@micro-es/test-support/config-changes";
import { staysInForce } from "@micro-es/test-support/config-outage";
import { zooKeeperSource } from "@micro-es/zookeeper";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ZooKeeperAdmin } from "./admin.ts";
import { znodesFixture } from "./config-keys.ts";
import { skipWithoutZooKeeper, startZooKeeper, type ZooKeeperServer } from "./server.ts";

describe.skipIf(skipWithoutZooKeeper)("config source in ZooKeeper", () => {
  let server: ZooKeeperServer;
  let admin: ZooKeeperAdmin;
  let roots = 0;
  beforeAll(async () => {
    server = await startZooKeeper();
    admin = new ZooKeeperAdmin(server.address);
  });
  afterAll(async () => {
    await admin?.close();
    await server?.close();
  });

  const nextRoot = () => `/apps/${roots++}`;
  const fixture = () => znodesFixture({ servers: server.address }, nextRoot(), admin);
  for (const { name, run } of configSourceContract(fixture)) test(name, run);

  test("reads znodes as paths, and their data as JSON", async () => {
    const root = nextRoot();
    const values = {
      "/database/host": "db.example",
      "/database/pool": "10",
      "/features": '{"beta":true}',
      "/empty": "",
      "/text": '""',
      "/gone": "1",
      "-2/other": "1",
      "0": "1",
    };
    for (const [name, value] of Object.entries(values)) await admin.put(`${root}${name}`, value);
    await admin.delete(`${root}/gone`);
    await using source = zooKeeperSource({ servers: server.address, root });
    expect(await source.load()).toEqual({
      database: { host: "db.example", pool: 10 },
      features: { beta: true },
      text: "",
    });
    await admin.put(`${root}/database/host/port`, "1");
    await expect(source.load()).rejects.toMatchObject({ code: "invalid_argument" });
    expect(source.state).toBe("degraded");
  });

  test("values that are changed in one transaction become visible together", async () => {
    const root = nextRoot();
    const paths = ["a", "b", "c", "d"].map((name) => `${root}/${name}`);
    for (const path of paths) await admin.put(path, "0");
    await using source = zooKeeperSource({ servers: server.address, root });
    const put = async (turn: number) => {
      await admin.putAll(Object.fromEntries(paths.map((path) => [path, `${turn}`])));
      const loaded = turn % 10 === 0 ? await source.load() : {};
      expect(new Set(Object.values(loaded)).size).toBeLessThan(2);
    };
    await changesTogether(source, put, 100);
  });

  test("the deletion of the last value is a change", async () => {
    const root = nextRoot();
    await admin.put(`${root}/only`, "1");
    await using source = zooKeeperSource({ servers: server.address, root });
    await changesToNothing(source, () => admin.delete(`${root}/only`));
  });

  test("stays in force while its server is down, even after a restart, and resumes when it is back", async () => {
    await using away = await startZooKeeper();
    await staysInForce({
      server: away,
      source: () => zooKeeperSource({ servers: away.address, startTimeoutMs: 1_000 }),
      write: async (value) => {
        await using operator = new ZooKeeperAdmin(away.address);
        await operator.put("/micro/config/database/host", value);
      },
      name: "zookeeper:/micro/config",
      guarantees: { reach: "backend", consistency: "table" },
    });
  });
});
