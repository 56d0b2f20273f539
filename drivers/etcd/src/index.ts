export { etcd } from "./driver.ts";
export { EtcdLink } from "./link/link.ts";
export type { EtcdOptions, EtcdTlsOptions } from "./link/options.ts";
export { type EtcdRegistryOptions, etcdRegistry } from "./registry/registry.ts";
