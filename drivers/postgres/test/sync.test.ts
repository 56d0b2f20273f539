import { syncContract } from "@micro-es/contract/sync";
import { postgresSync } from "@micro-es/postgres";
import { afterAll, beforeAll, describe, test } from "vitest";
import { type PostgresServer, skipWithoutPostgres, startPostgres } from "./server.ts";

describe.skipIf(skipWithoutPostgres)("sync in PostgreSQL", () => {
  let server: PostgresServer;
  let fleets = 0;
  beforeAll(async () => {
    server = await startPostgres();
  });
  afterAll(() => server?.close());

  const create = async () => {
    const options = { ...server.options, schema: `fleet_${fleets++}` };
    return { connect: () => postgresSync(options) };
  };
  for (const { name, run } of syncContract(create)) test(name, run);
});
