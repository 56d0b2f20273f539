import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { syncContract } from "@micro-es/contract/sync";
import { PostgresLink, postgresOutbox, postgresStore, postgresSync } from "@micro-es/postgres";
import { silentLogger } from "@micro-es/runtime";
import { freePorts } from "@micro-es/test-support/free-ports";
import { ServerProcess } from "@micro-es/test-support/server-process";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  asAccount,
  giveToAccount,
  type PostgresServer,
  skipWithoutPostgres,
  startPostgres,
} from "./server.ts";
import { poolerPath } from "./servers.ts";

const value = new Uint8Array([1]);
const path = poolerPath();
if (path === undefined && !skipWithoutPostgres) {
  const message = "pgbouncer is not installed, so nothing is tested through it: run test/setup";
  if (process.env.CI === "true") throw new Error(message);
  console.error(`\n*** SKIPPED: ${message} ***\n`);
}

describe.skipIf(skipWithoutPostgres || path === undefined)("PostgreSQL behind pgbouncer", () => {
  let server: PostgresServer;
  let pooler: ServerProcess;
  let options: { servers: string; user: string; database: string };
  let fleets = 0;
  beforeAll(async () => {
    server = await startPostgres();
    const [port = 0] = await freePorts(1);
    options = { ...server.options, servers: `127.0.0.1:${port}` };
    pooler = new ServerProcess("pgbouncer", (directory) => {
      const [program, flags] = asAccount(path ?? "", [join(directory, "pgbouncer.ini")]);
      const ready = async () => {
        while (pooler.running) {
          const client = new pg.Client({ host: "127.0.0.1", port, user: "postgres" });
          client.on("error", () => {});
          try {
            await client.connect();
            await client.end();
            return;
          } catch {
            await sleep(20);
          }
        }
      };
      return { path: program, flags, ready };
    });
    const file = join(pooler.directory, "pgbouncer.ini");
    const lines = [
      "[databases]",
      `* = host=127.0.0.1 port=${server.port} user=postgres`,
      "[pgbouncer]",
      `listen_port = ${port}`,
      "listen_addr = 127.0.0.1",
      "unix_socket_dir =",
      "auth_type = any",
      "pool_mode = transaction",
      // Fewer than the clients, so that they share them.
      "default_pool_size = 4",
      "max_client_conn = 200",
    ];
    writeFileSync(file, `${lines.join("\n")}\n`);
    giveToAccount(pooler.directory, file);
    await pooler.start();
  });
  afterAll(async () => {
    await pooler?.close();
    await server?.close();
  });

  const nextSchema = () => `fleet_${fleets++}`;

  test("is noticed", async () => {
    await using pooled = new PostgresLink(options);
    await pooled.open();
    expect(pooled.isPooled).toBe(true);
    await using direct = new PostgresLink(server.options);
    await direct.open();
    expect(direct.isPooled).toBe(false);
  });

  test("stores and watches, by polling", async () => {
    const schema = nextSchema();
    await using store = postgresStore({ ...options, schema });
    await using direct = postgresStore({ ...server.options, schema });
    const events: string[] = [];
    const ending = new AbortController();
    const following = (async () => {
      for await (const event of store.watch({ signal: ending.signal })) {
        events.push(event.type === "written" ? event.record.key : event.type);
      }
    })();
    await expect.poll(() => events).toEqual(["snapshot"]);
    await direct.write("direct", value);
    await store.write("pooled", value, { ifVersion: 0n });
    await expect.poll(() => events).toEqual(["snapshot", "direct", "pooled"]);
    await Promise.all(Array.from({ length: 100 }, (_, index) => store.write(`${index}`, value)));
    ending.abort();
    await following;
  });

  test("relays an outbox", async () => {
    await using outbox = postgresOutbox({ ...options, schema: nextSchema() });
    await outbox.open();
    const texts: string[] = [];
    const publish = async (_topic: string, { body }: { readonly body: Uint8Array }) =>
      void texts.push(Buffer.from(body).toString());
    outbox.relay({ broker: { publish }, logger: silentLogger });
    const [host, port] = options.servers.split(":");
    const client = new pg.Client({ ...options, host, port: Number(port) });
    await client.connect();
    for (const [text, end] of [
      ["1", "commit"],
      ["never", "rollback"],
      ["2", "commit"],
    ] as const) {
      await client.query("begin");
      const event = { body: Buffer.from(text), contentType: "text/plain", typeName: "", key: "a" };
      await outbox.within(client).publish("orders", event);
      await client.query(end);
    }
    await client.end();
    await expect.poll(() => texts).toEqual(["1", "2"]);
  });

  const create = async () => {
    const own = { ...options, schema: nextSchema() };
    return { connect: () => postgresSync(own) };
  };
  const cases = syncContract(create).filter(({ name }) =>
    /one holder at a time|ends a lock that is not renewed|elects one leader/.test(name),
  );
  test("has cases of the contract", () => expect(cases).toHaveLength(3));
  for (const { name, run } of cases) test(name, run);
});
