import type { ConfigSourceFixture } from "@micro-es/contract/config";
import { type RedisOptions, redisSource } from "@micro-es/redis";
import type { ConfigTable } from "@micro-es/runtime/driver";
import { command } from "./admin.ts";

/** A source with a hash of its own, whose values an operator changes. */
export async function hashFixture(
  options: RedisOptions,
  key: string,
): Promise<ConfigSourceFixture> {
  const initial: ConfigTable = { a: "one", b: { c: 2, d: [true, "x", { e: 1.5 }] } };
  const set = async (text: string) => void (await command(options, "HSET", key, ".", text));
  const change = (values: ConfigTable) => set(JSON.stringify(values));
  await change(initial);
  return {
    source: redisSource({ ...options, key, pollMs: 50 }),
    initial,
    change,
    spoil: () => set('{"__proto__": 1}'),
  };
}
