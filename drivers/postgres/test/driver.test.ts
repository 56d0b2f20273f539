import { postgres } from "@micro-es/postgres";
import { createService, silentLogger } from "@micro-es/runtime";
import { describe, expect, test } from "vitest";
import { skipWithoutPostgres, startPostgres } from "./server.ts";

const logger = silentLogger;

describe.skipIf(skipWithoutPostgres)("PostgreSQL, chosen by a URL", () => {
  test("is the store and the sync of a service, in the schema of the URL", async () => {
    await using server = await startPostgres();
    await using service = createService({
      drivers: [postgres],
      logger,
      name: "orders",
      environment: {
        MICRO_REGISTRY: "memory:",
        MICRO_BROKER: "memory:",
        MICRO_STORE: `${server.url}?schema=orders&timeout=20s`,
        MICRO_SYNC: `${server.url.replace("postgres:", "postgresql:")}?schema=locks`,
      },
    });
    const { store, sync } = service;
    expect([store.name, sync.name]).toEqual(["postgres", "postgres"]);
    await store.write("key", new Uint8Array([1]));
    const lock = await sync.lock("orders");
    const keys = "select encode(key, 'escape') as key from";
    expect(await server.run(`${keys} orders.store`)).toEqual([{ key: "key" }]);
    expect(await server.run(`${keys} locks.leases`)).toEqual([{ key: "lock/orders" }]);
    await lock.unlock();
  });
});

test.each([
  ["postgres://host?shema=a", /no parameter shema; did you mean schema/],
  ["postgres://host?schema=A-B", /schema/],
  ["postgres://host?sslmode=prefer", /sslmode="prefer" is not allowed/],
  ["postgres://host?sslrootcert=/ca.pem", /are for TLS; add sslmode=verify-full/],
  [
    "postgres://host?sslmode=require&sslrootcert=/nowhere.pem",
    /cannot read the file of sslrootcert: ENOENT/,
  ],
])("refuses the URL %s", (MICRO_STORE, message) => {
  const make = () =>
    createService({
      name: "orders",
      drivers: [postgres],
      environment: { MICRO_REGISTRY: "memory:", MICRO_BROKER: "memory:", MICRO_STORE },
      logger,
    });
  expect(make).toThrow(message);
  expect(make).toThrow(/MICRO_STORE/);
});
