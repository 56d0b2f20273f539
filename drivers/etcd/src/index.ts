export { type EtcdSourceOptions, etcdSource } from "./config/source.ts";
export { etcd } from "./driver.ts";
export { EtcdLink } from "./link/link.ts";
export type { EtcdOptions, EtcdTlsOptions } from "./link/options.ts";
export { type EtcdRegistryOptions, etcdRegistry } from "./registry/registry.ts";
export { type EtcdStoreOptions, etcdStore } from "./store/store.ts";
export { type EtcdSyncOptions, etcdSync } from "./sync/sync.ts";
