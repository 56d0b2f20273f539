import { postgresTables } from "@micro-es/postgres";
import { startPostgres } from "../../../drivers/postgres/test/server.ts";
import type { StoreServer } from "../coordination/server.ts";

export async function startCoordinationServer(): Promise<StoreServer> {
  const postgres = await startPostgres();
  // Leases of a second or two must not end while a busy machine creates the tables.
  await postgres.run(postgresTables());
  return {
    url: `postgres://127.0.0.1:${postgres.port}`,
    port: postgres.port,
    kill: () => postgres.stop("SIGKILL"),
    start: () => postgres.start(),
    async hasKeys() {
      const found = await postgres.run(
        "select 1 from micro.store where key >= 'key/' and key < 'key0' limit 1",
      );
      return found.length > 0;
    },
    // Each process removes them every 15 to 25 s, and begins when it first uses the store.
    keepsExpiredMs: 40_000,
    [Symbol.asyncDispose]: () => postgres.close(),
  };
}
