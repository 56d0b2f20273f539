export { postgres } from "./driver.ts";
export { PostgresLink } from "./link/link.ts";
export type { PostgresOptions, PostgresTlsOptions } from "./link/options.ts";
export {
  type Outbox,
  type OutboxStatus,
  type ParkedEvent,
  type PostgresOutboxOptions,
  postgresOutbox,
} from "./outbox/outbox.ts";
export type { OutboxQuery, OutboxTransaction } from "./outbox/publisher.ts";
export type { OutboxRelay, OutboxRelayOptions, OutboxRelayStats } from "./outbox/relay.ts";
export { postgresTables } from "./postgres-tables.ts";
export { type PostgresStoreOptions, postgresStore } from "./store/store.ts";
export { type PostgresSyncOptions, postgresSync } from "./sync/sync.ts";
