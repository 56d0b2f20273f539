import { Redis } from "ioredis";
import { startRedis } from "../../../drivers/redis/test/server.ts";
import type { BrokerServer } from "../broker/backend.ts";

const stream = "micro:{work}:events";

/** A server that synchronizes each write, read with its client library. */
export async function startBrokerServer(): Promise<BrokerServer> {
  const redis = await startRedis();
  const withTools = async <T>(work: (tools: Redis) => Promise<T>): Promise<T> => {
    const tools = new Redis({ port: redis.port, host: "127.0.0.1", protocol: 2 });
    try {
      return await work(tools);
    } finally {
      tools.disconnect();
    }
  };
  return {
    url: `redis://${redis.address}`,
    port: redis.port,
    kill: () => redis.stop("SIGKILL"),
    start: () => redis.start(),
    storedIds: () =>
      withTools(async (tools) => {
        const entries = await tools.xrange(stream, "-", "+");
        return entries.map(([, fields]) => fields[fields.indexOf("id") + 1] ?? "");
      }),
    pending: () => withTools(async (tools) => Number((await tools.xpending(stream, "workers"))[0])),
    hasGroup: () => withTools(async (tools) => (await tools.exists(stream)) === 1),
    [Symbol.asyncDispose]: () => redis.close(),
  };
}
