export { type ZooKeeperSourceOptions, zooKeeperSource } from "./config/source.ts";
export { zookeeper } from "./driver.ts";
export { ZooKeeperLink } from "./link/link.ts";
export type { ZooKeeperOptions, ZooKeeperTlsOptions } from "./link/options.ts";
export { type ZooKeeperRegistryOptions, zooKeeperRegistry } from "./registry/registry.ts";
export { type ZooKeeperSyncOptions, zooKeeperSync } from "./sync/sync.ts";
