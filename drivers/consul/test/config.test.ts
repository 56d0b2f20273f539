import { consulSource } from "@micro-es/consul";
import { configSourceContract } from "@micro-es/contract/config";
import { changesTogether, changesToNothing } from "@micro-es/test-support/config-changes";
import { staysInForce } from "@micro-es/test-support/config-outage";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ConsulAdmin } from "./admin.ts";
import { keysFixture } from "./config-keys.ts";
import { type ConsulServer, skipWithoutConsul, startConsul } from "./server.ts";

describe.skipIf(skipWithoutConsul)("config source in Consul", () => {
  let server: ConsulServer;
  let admin: ConsulAdmin;
  let prefixes = 0;
  beforeAll(async () => {
    server = await startConsul();
    admin = new ConsulAdmin(server.url);
  });
  afterAll(() => server?.close());

  const nextPrefix = () => `apps/${prefixes++}`;
  const fixture = () => keysFixture({ address: server.url }, nextPrefix(), admin);
  for (const { name, run } of configSourceContract(fixture)) test(name, run);

  test("reads keys as paths, and values as JSON", async () => {
    const prefix = nextPrefix();
    const values = {
      "/database/": "",
      "/database/host": "db.example",
      "/database/pool": "10",
      "/features": '{"beta":true}',
      "/gone": "1",
      "-2/other": "1",
      "0": "1",
    };
    for (const [name, value] of Object.entries(values)) {
      await admin.put(`kv/${prefix}${name}`, value);
    }
    await admin.delete(`kv/${prefix}/gone`);
    await using source = consulSource({ address: server.url, prefix });
    expect(await source.load()).toEqual({
      database: { host: "db.example", pool: 10 },
      features: { beta: true },
    });
    await admin.put(`kv/${prefix}/database/host/port`, "1");
    await expect(source.load()).rejects.toMatchObject({ code: "invalid_argument" });
    expect(source.state).toBe("degraded");
  });

  test("values that are changed in one transaction become visible together", async () => {
    const prefix = nextPrefix();
    const put = (value: string) =>
      admin.put(
        "txn",
        ["a", "b", "c", "d"].map((name) => {
          const Value = Buffer.from(value).toString("base64");
          return { KV: { Verb: "set", Key: `${prefix}/${name}`, Value } };
        }),
      );
    await put("0");
    await using source = consulSource({ address: server.url, prefix });
    await changesTogether(source, (turn) => put(`${turn}`), 100);
  });

  test("the deletion of the last key is a change", async () => {
    const prefix = nextPrefix();
    await admin.put(`kv/${prefix}/only`, "1");
    await using source = consulSource({ address: server.url, prefix });
    await changesToNothing(source, () => admin.delete(`kv/${prefix}/only`));
  });

  test("stays in force while its agent is down, even after a restart, and resumes when it is back", async () => {
    await using away = await startConsul();
    await staysInForce({
      server: away,
      source: () => consulSource({ address: away.url, startTimeoutMs: 1_000 }),
      write: (value) => new ConsulAdmin(away.url).put("kv/micro/config/database/host", value),
      name: "consul:micro/config",
      guarantees: { reach: "backend", consistency: "table" },
    });
  });
});
