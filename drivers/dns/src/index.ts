export { dns } from "./driver.ts";
export { type DnsRegistryOptions, dnsRegistry } from "./registry/registry.ts";
