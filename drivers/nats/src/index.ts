export { type NatsBrokerOptions, natsBroker } from "./broker/core/broker.ts";
export { type JetStreamBrokerOptions, jetstreamBroker } from "./broker/jetstream/broker.ts";
export { type NatsSourceOptions, natsSource } from "./config/source.ts";
export { nats } from "./driver.ts";
export {
  type GoMicroNatsRegistryOptions,
  goMicroNatsRegistry,
} from "./go-micro/registry/registry.ts";
export {
  type GoMicroNatsTransportOptions,
  goMicroNatsTransport,
} from "./go-micro/transport/transport.ts";
export type { NatsDriverOptions } from "./link/driver.ts";
export { NatsLink } from "./link/link.ts";
export type { NatsOptions, NatsTlsOptions } from "./link/options.ts";
export { type NatsParts, type NatsPartsOptions, natsParts } from "./parts.ts";
export { type NatsRegistryOptions, natsRegistry } from "./registry/registry.ts";
export { type NatsStoreOptions, natsStore } from "./store/store.ts";
export { type NatsSyncOptions, natsSync } from "./sync/sync.ts";
export { type NatsTransportOptions, natsTransport } from "./transport/transport.ts";
