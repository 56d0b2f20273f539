import { setImmediate } from "node:timers/promises";
import { PostgresLink, postgresStore, postgresSync, postgresTables } from "@micro-es/postgres";
import { freePorts } from "@micro-es/test-support/free-ports";
import { FaultProxy } from "@micro-es/test-support/proxy";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { type PostgresServer, skipWithoutPostgres, startPostgres } from "./server.ts";

const value = new Uint8Array([1]);

describe.skipIf(skipWithoutPostgres)("the connections to PostgreSQL", () => {
  let server: PostgresServer;
  let fleets = 0;
  beforeAll(async () => {
    server = await startPostgres();
  });
  afterAll(() => server?.close());

  const optionsOf = () => ({ ...server.options, schema: `fleet_${fleets++}` });

  test("one connection for statements serves all parts, however many wait for it", async () => {
    const link = new PostgresLink({ ...optionsOf(), maxConnections: 1 });
    await using store = postgresStore({ link });
    await using sync = postgresSync({ link });
    const lock = await sync.lock("orders");
    const fence = { lock: "orders", token: lock.token };
    const writes = Array.from({ length: 200 }, (_, index) =>
      store.write(`key ${index % 20}`, value, { fence }),
    );
    const waiting = sync.lock("orders");
    await Promise.all(writes);
    expect(await lock.unlock()).toBe(true);
    expect((await waiting).token).toBeGreaterThan(lock.token);
    const names = "select count(*) from pg_stat_activity where application_name = 'micro-es'";
    expect(await server.run(names)).toEqual([{ count: "2" }]);
    await link.close();
    await expect.poll(() => server.run(names)).toEqual([{ count: "0" }]);
  });

  test("replaces connections that the server ends, and stays healthy", async () => {
    const options = optionsOf();
    await using store = postgresStore(options);
    await store.write("key", value);
    const states: string[] = [];
    store.onStateChange((state) => states.push(state));
    for (let turn = 0; turn < 10; turn++) {
      await server.run(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'micro-es'",
      );
      // One that is not known to be lost yet fails, with an unknown outcome.
      await expect.poll(() => store.read("key").catch(() => undefined)).toBeDefined();
    }
    expect(states).toEqual([]);
  });

  test("waits for a server that is not up yet, and gives up in time", async () => {
    await using own = await startPostgres();
    await own.stop();
    const late = postgresStore(own.options);
    const early = postgresStore({ ...own.options, startTimeoutMs: 0 });
    onTestFinished(async () => {
      await late.close();
      await early.close();
    });
    await expect(early.read("key")).rejects.toMatchObject({
      code: "unavailable",
      outcome: "not-executed",
      message: expect.stringContaining("ECONNREFUSED"),
    });
    expect(early.state).toBe("lost");
    const reading = late.read("key");
    await expect.poll(() => late.state).toBe("lost");
    await own.start();
    expect(await reading).toBeUndefined();
    expect(late.state).toBe("healthy");
  });

  test("is lost while the server is away, fails at once, and comes back", async () => {
    await using own = await startPostgres();
    await using store = postgresStore(own.options);
    await store.write("key", value);
    await own.stop();
    await expect.poll(() => store.state).toBe("lost");
    await expect(store.read("key")).rejects.toMatchObject({
      code: "unavailable",
      outcome: "not-executed",
    });
    await own.start();
    await expect.poll(() => store.state).toBe("healthy");
    expect(await store.read("key")).toBeDefined();
  });

  test("notices a server that is silent, and fails what waits for it", async () => {
    await using proxy = await FaultProxy.start(server.port);
    const options = { ...optionsOf(), servers: `127.0.0.1:${proxy.port}`, timeoutMs: 500 };
    const store = postgresStore(options);
    onTestFinished(() => store.close());
    await store.write("key", value);
    proxy.swallow(true);
    await expect(store.write("key", value)).rejects.toMatchObject({
      code: "deadline_exceeded",
      outcome: "unknown",
    });
    // The connection that listens is silent as well.
    await expect.poll(() => store.state, { timeout: 20_000 }).toBe("lost");
    proxy.swallow(false);
    proxy.cut();
    await expect.poll(() => store.state).toBe("healthy");
    expect(await store.read("key")).toBeDefined();
  });

  test("gives up a statement that waits for a lock, as not executed", async () => {
    const options = optionsOf();
    await using store = postgresStore({ ...options, timeoutMs: 1_000 });
    await store.write("key", value);
    const locked = server.run(
      `begin; select 1 from ${options.schema}.store for update; select pg_sleep(4)`,
    );
    await expect
      .poll(() => server.run("select 1 from pg_stat_activity where wait_event = 'PgSleep'"))
      .not.toEqual([]);
    await expect(store.write("key", value)).rejects.toMatchObject({ code: "deadline_exceeded" });
    await locked;
    await store.write("key", value);
  });

  test("uses the server that accepts writes", async () => {
    const [nothing = 0] = await freePorts(1);
    await using standby = await startPostgres({
      settings: { default_transaction_read_only: "on" },
    });
    const options = optionsOf();
    const servers = [`127.0.0.1:${nothing}`, standby.address, server.address];
    await using store = postgresStore({ ...options, servers });
    await store.write("key", value);
    await using alone = postgresStore({ ...standby.options, startTimeoutMs: 0 });
    await expect(alone.read("key")).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringContaining("it accepts no writes"),
    });
  });

  test("says what is missing when a user may not create tables, and uses those of another user", async () => {
    const { schema } = optionsOf();
    await server.run(`create role app${schema} login`);
    const options = { ...server.options, user: `app${schema}`, schema };
    await using store = postgresStore(options);
    await expect(store.write("key", value)).rejects.toMatchObject({
      code: "permission_denied",
      outcome: "not-executed",
      message: expect.stringContaining(`postgresTables({ schema: "${schema}" })`),
    });
    const tables = postgresTables({ schema });
    await server.run(tables);
    await server.run(tables);
    await server.run(
      `grant usage on schema ${schema} to app${schema};
       grant select, insert, update, delete on all tables in schema ${schema} to app${schema};
       grant usage on all sequences in schema ${schema} to app${schema}`,
    );
    await store.write("key", value);
    await using sync = postgresSync(options);
    await (await sync.lock("orders")).unlock();
  });

  test("creates tables that someone has dropped", async () => {
    const options = optionsOf();
    await using store = postgresStore(options);
    await store.write("key", value);
    await server.run(`drop schema ${options.schema} cascade`);
    expect(await store.read("key")).toBeUndefined();
    await store.write("key", value);
  });

  test("many processes may create the tables at the same time", async () => {
    const options = optionsOf();
    const stores = Array.from({ length: 8 }, () => postgresStore(options));
    try {
      await Promise.all(stores.map((store) => store.write("key", value)));
    } finally {
      for (const store of stores) await store.close();
    }
  });

  test("closes while it connects, and while it works", async () => {
    const options = optionsOf();
    for (let turn = 0; turn < 20; turn++) {
      const store = postgresStore(options);
      const writing = store.write("key", value).catch((error) => error);
      for (let at = 0; at < turn % 5; at++) await setImmediate();
      await store.close();
      const result = await writing;
      if (typeof result !== "bigint") expect(result).toMatchObject({ code: "unavailable" });
    }
  });
});
