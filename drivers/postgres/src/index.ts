export { postgres } from "./driver.ts";
export { PostgresLink } from "./link/link.ts";
export type { PostgresOptions, PostgresTlsOptions } from "./link/options.ts";
export { postgresTables } from "./postgres-tables.ts";
export { type PostgresStoreOptions, postgresStore } from "./store/store.ts";
export { type PostgresSyncOptions, postgresSync } from "./sync/sync.ts";
