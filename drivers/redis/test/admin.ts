import type { RedisOptions } from "@micro-es/redis";
import { Redis } from "ioredis";

/** A command of an operator; its reply as text. */
export async function command(
  { servers, user, password, database = 0 }: RedisOptions,
  name: string,
  ...args: readonly (string | number)[]
): Promise<string> {
  const [host = "", port] = String(servers).split(":");
  const redis = new Redis({
    host,
    port: Number(port),
    db: database,
    ...(user === undefined ? {} : { username: user }),
    ...(password === undefined ? {} : { password }),
    lazyConnect: true,
    retryStrategy: () => null,
  });
  let failure: Error | undefined;
  redis.on("error", (error: Error) => {
    failure ??= error;
  });
  try {
    await redis.connect();
    return String(await redis.call(name, ...args));
  } catch (error) {
    throw failure ?? error;
  } finally {
    redis.disconnect();
  }
}
