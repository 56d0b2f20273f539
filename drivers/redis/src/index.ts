export { type RedisBrokerOptions, redisBroker } from "./broker/broker.ts";
export { type RedisSourceOptions, redisSource } from "./config/source.ts";
export { redis } from "./driver.ts";
export { RedisLink } from "./link/link.ts";
export type { RedisDurability, RedisOptions, RedisTlsOptions } from "./link/options.ts";
export { type RedisStoreOptions, redisStore } from "./store/store.ts";
export { type RedisSyncOptions, redisSync } from "./sync/sync.ts";
