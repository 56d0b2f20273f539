import { storeContract } from "@micro-es/contract/store";
import { postgresStore } from "@micro-es/postgres";
import type { StoreEvent } from "@micro-es/runtime";
import { FaultProxy } from "@micro-es/test-support/proxy";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { type PostgresServer, skipWithoutPostgres, startPostgres } from "./server.ts";

const utf8 = new TextEncoder();

describe.skipIf(skipWithoutPostgres)("the store in PostgreSQL", () => {
  let server: PostgresServer;
  let fleets = 0;
  beforeAll(async () => {
    server = await startPostgres();
  });
  afterAll(() => server?.close());

  const nextSchema = () => `fleet_${fleets++}`;
  const open = (schema: string, servers = server.address) => {
    const store = postgresStore({ ...server.options, servers, schema });
    onTestFinished(() => store.close());
    return store;
  };
  /** A connection that PostgreSQL's own clients would make. */
  const connect = async () => {
    const { user, database } = server.options;
    const client = new pg.Client({ host: "127.0.0.1", port: server.port, user, database });
    await client.connect();
    onTestFinished(() => client.end());
    return client;
  };
  /** The events of a watch in short, as they come. */
  const follow = (store: ReturnType<typeof open>, prefix = "") => {
    const events: StoreEvent[] = [];
    const ending = new AbortController();
    const reading = (async () => {
      for await (const event of store.watch({ prefix, signal: ending.signal })) events.push(event);
    })();
    onTestFinished(async () => {
      ending.abort();
      await reading;
    });
    return () => events.map(inShort);
  };

  for (const { name, run } of storeContract(async () =>
    postgresStore({ ...server.options, schema: nextSchema() }),
  )) {
    test(name, run);
  }

  test("reports changes whose transactions end in another order than they began", async () => {
    const schema = nextSchema();
    const store = open(schema);
    await store.write("z", utf8.encode("0"));
    const seen = follow(store);
    await expect.poll(seen).toEqual(["snapshot of z=0"]);
    const slow = await connect();
    const change = `select * from ${schema}.store_change($1, $2, null, null, null, null, null, 0)`;
    await slow.query("begin");
    await slow.query(change, [Buffer.from("a"), Buffer.from("1")]);
    await store.write("b", utf8.encode("2"));
    await expect.poll(seen).toEqual(["snapshot of z=0", "b=2"]);
    await slow.query("commit");
    await expect.poll(seen).toEqual(["snapshot of z=0", "b=2", "a=1"]);
    await slow.query("begin");
    await slow.query(change, [Buffer.from("a"), Buffer.from("never")]);
    await slow.query("rollback");
    await store.delete("b");
    await expect.poll(seen).toEqual(["snapshot of z=0", "b=2", "a=1", "-b"]);
  });

  test("never lets a version go back when two transactions change a key", async () => {
    const schema = nextSchema();
    const store = open(schema);
    await store.write("key", utf8.encode("0"));
    const slow = await connect();
    await slow.query("begin");
    const { rows } = await slow.query(
      `select * from ${schema}.store_change($1, $2, null, null, null, null, null, 0)`,
      [Buffer.from("key"), Buffer.from("1")],
    );
    const second = store.write("key", utf8.encode("2"));
    await expect.poll(() => server.run("select 1 from pg_locks where not granted")).not.toEqual([]);
    await slow.query("commit");
    expect(await second).toBeGreaterThan(BigInt(rows[0].new_version));
  });

  test("watches without a gap through a lost connection, and by a snapshot after a restart", async () => {
    await using own = await startPostgres();
    await using proxy = await FaultProxy.start(own.port);
    const options = { ...own.options, schema: nextSchema() };
    const store = postgresStore({ ...options, timeoutMs: 20_000 });
    const watching = postgresStore({ ...options, servers: `127.0.0.1:${proxy.port}` });
    onTestFinished(async () => {
      await watching.close();
      await store.close();
    });
    const seen = follow(watching);
    await expect.poll(seen).toEqual(["snapshot of "]);
    await store.write("a", utf8.encode("1"));
    proxy.cut();
    await store.write("b", utf8.encode("2"));
    await store.delete("a");
    await expect.poll(seen).toEqual(["snapshot of ", "a=1", "b=2", "-a"]);
    await own.stop("SIGKILL");
    await own.start();
    await expect.poll(() => seen().at(-1)).toBe("snapshot of b=2");
    await expect.poll(() => store.write("c", utf8.encode("3")).catch(() => 0n)).toBeGreaterThan(0n);
    await expect.poll(() => seen().at(-1)).toBe("c=3");
  });

  test("replaces changes that were removed before a watch saw them by a snapshot", async () => {
    const schema = nextSchema();
    const store = open(schema);
    const seen = follow(store);
    await expect.poll(seen).toEqual(["snapshot of "]);
    const client = await connect();
    // The change is removed in the transaction that makes it, so that no watch can see it.
    await client.query("begin");
    await client.query(
      `select ${schema}.store_change('key', 'v', null, null, null, null, null, 0)`,
    );
    await client.query(`delete from ${schema}.store_changes`);
    await client.query(`update ${schema}.store_state set trimmed = pg_current_xact_id()`);
    await client.query("commit");
    await expect.poll(() => seen().at(-1)).toBe("snapshot of key=v");
  });

  test("removes what has expired, by the clock of the server as well", async () => {
    const schema = nextSchema();
    const store = open(schema);
    await store.write("soon", utf8.encode("v"), { ttlMs: 10 });
    await store.write("later", utf8.encode("v"), { ttlMs: 3_600_000 });
    await store.write("stays", utf8.encode("v"));
    await expect.poll(() => store.read("soon")).toBeUndefined();
    const inAnHour = Date.now() + 4_000_000;
    await server.run(`select ${schema}.store_clean(${inAnHour})`);
    const left = await server.run(`select convert_from(key, 'UTF8') as key from ${schema}.store`);
    expect(left.map(({ key }) => key).sort()).toEqual(["later", "stays"]);
  });

  test("lists values that are too large for one page", async () => {
    const store = open(nextSchema());
    for (let index = 0; index < 12; index++) {
      await store.write(`key-${index}`, new Uint8Array(1_000_000));
    }
    const sizes: number[] = [];
    for await (const { value } of store.list()) sizes.push(value.length);
    expect(sizes).toEqual(Array.from({ length: 12 }, () => 1_000_000));
  });

  test("reports writes cut off before their response as unknown", async () => {
    await using proxy = await FaultProxy.start(server.port);
    const schema = nextSchema();
    const store = open(schema, `127.0.0.1:${proxy.port}`);
    const direct = open(schema);
    await store.read("nothing");
    proxy.swallowResponses(true);
    const writing = store.write("key", utf8.encode("v")).catch((error) => error);
    await expect.poll(() => direct.read("key")).toBeDefined();
    proxy.cut();
    proxy.swallowResponses(false);
    expect(await writing).toMatchObject({ code: "unavailable", outcome: "unknown" });
    await expect.poll(() => store.read("key").catch(() => undefined)).toBeDefined();
  });
});

function inShort(event: StoreEvent): string {
  const shown = ({ key, value }: { key: string; value: Uint8Array }) =>
    `${key}=${new TextDecoder().decode(value)}`;
  if (event.type === "snapshot") return `snapshot of ${event.records.map(shown).join(" ")}`;
  return event.type === "written" ? shown(event.record) : `-${event.key}`;
}
