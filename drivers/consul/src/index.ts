export { type ConsulSourceOptions, consulSource } from "./config/source.ts";
export { consul } from "./driver.ts";
export { ConsulLink } from "./link/link.ts";
export type { ConsulOptions, ConsulTlsOptions } from "./link/options.ts";
export { type ConsulRegistryOptions, consulRegistry } from "./registry/registry.ts";
export { type ConsulSyncOptions, consulSync } from "./sync/sync.ts";
