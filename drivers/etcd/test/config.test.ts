import { configSourceContract } from "@micro-es/contract/config";
import { etcdSource } from "@micro-es/etcd";
import { changesTogether } from "@micro-es/test-support/config-changes";
import { staysInForce } from "@micro-es/test-support/config-outage";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EtcdAdmin } from "./admin.ts";
import { keysFixture } from "./config-keys.ts";
import { type EtcdServer, skipWithoutEtcd, startEtcd } from "./server.ts";

describe.skipIf(skipWithoutEtcd)("config source in etcd", () => {
  let server: EtcdServer;
  let admin: EtcdAdmin;
  let prefixes = 0;
  beforeAll(async () => {
    server = await startEtcd();
    admin = new EtcdAdmin(server.url);
  });
  afterAll(() => server?.close());

  const nextPrefix = () => `/apps/${prefixes++}`;
  const fixture = () => keysFixture({ endpoints: server.url }, nextPrefix(), admin);
  for (const { name, run } of configSourceContract(fixture)) test(name, run);

  test("reads keys as paths, and values as JSON", async () => {
    const prefix = nextPrefix();
    await admin.putAll([
      [`${prefix}/database/host`, "db.example"],
      [`${prefix}/database/pool`, "10"],
      [`${prefix}/features`, '{"beta":true}'],
      [`${prefix}/gone`, "1"],
      [`${prefix}-2/other`, "1"],
      [`${prefix}0`, "1"],
    ]);
    await admin.delete(`${prefix}/gone`);
    await using source = etcdSource({ endpoints: server.url, prefix });
    expect(await source.load()).toEqual({
      database: { host: "db.example", pool: 10 },
      features: { beta: true },
    });
    await admin.put(`${prefix}/database/host/port`, "1");
    await expect(source.load()).rejects.toMatchObject({ code: "invalid_argument" });
    expect(source.state).toBe("degraded");
  });

  test("values that are changed in one transaction become visible together", async () => {
    const prefix = nextPrefix();
    const put = (value: string) =>
      admin.putAll(["a", "b", "c", "d"].map((name) => [`${prefix}/${name}`, value] as const));
    await put("0");
    await using source = etcdSource({ endpoints: server.url, prefix });
    await changesTogether(source, (turn) => put(`${turn}`), 100);
  });

  test("stays in force while its server is down, even after a restart, and resumes when it is back", async () => {
    await using away = await startEtcd();
    await staysInForce({
      server: away,
      source: () => etcdSource({ endpoints: away.url, startTimeoutMs: 1_000 }),
      write: (value) => new EtcdAdmin(away.url).put("/micro/config/database/host", value),
      name: "etcd:/micro/config",
      guarantees: { reach: "backend", consistency: "table" },
    });
  });
});
