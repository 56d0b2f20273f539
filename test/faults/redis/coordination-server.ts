import { command } from "../../../drivers/redis/test/admin.ts";
import { startRedis } from "../../../drivers/redis/test/server.ts";
import type { StoreServer } from "../coordination/server.ts";

export async function startCoordinationServer(): Promise<StoreServer> {
  const redis = await startRedis();
  const keys = ["micro:{store}:keys", "[key/", "(key0"] as const;
  return {
    url: `redis://${redis.address}`,
    port: redis.port,
    kill: () => redis.stop("SIGKILL"),
    start: () => redis.start(),
    hasKeys: async () => (await command({ servers: redis.address }, "ZLEXCOUNT", ...keys)) !== "0",
    // A process that has the store open removes them.
    keepsExpiredMs: 30_000,
    [Symbol.asyncDispose]: () => redis.close(),
  };
}
