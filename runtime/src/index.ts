export type { AccessOptions } from "./auth/access-control.ts";
export type { Account } from "./auth/auth.ts";
export type { BackendState } from "./base/backend-state.ts";
export { type Deadline, deadlineAfter, remainingMs } from "./base/deadline.ts";
export {
  asMicroError,
  type Code,
  type ErrorDetail,
  isCode,
  MicroError,
  type MicroErrorOptions,
  type Outcome,
} from "./base/error.ts";
export {
  createLogger,
  type LogFields,
  type Logger,
  type LoggerOptions,
  type LogLevel,
  silentLogger,
} from "./base/logger.ts";
export { Metadata, type MetadataInit } from "./base/metadata.ts";
export {
  type Broker,
  type Deduplicate,
  type EventHandler,
  type EventPublisher,
  EventRejected,
  type IncomingEvent,
  type PublishOptions,
  type SubscribeOptions,
  type Subscription,
} from "./broker/broker.ts";
export type { DeadLetter, DeadLetters } from "./broker/dead-letter-admin.ts";
export { type HttpBrokerOptions, httpBroker } from "./broker/http/broker.ts";
export { MemoryBrokerNetwork, memoryBroker } from "./broker/memory/broker.ts";
export type { Topic } from "./broker/topic.ts";
export { type BatchOptions, inBatches } from "./call/batches.ts";
export {
  type AuthenticatedContext,
  type Awaitable,
  type CallContext,
  type ContextKey,
  contextKey,
} from "./call/call.ts";
export type { CredentialSource } from "./call/credential-source.ts";
export type { AnyMethod, Method } from "./call/method.ts";
export type {
  CallOptions,
  Client,
  ClientInterceptor,
  ClientInterceptorFunction,
} from "./client/client.ts";
export { bytesCodec, bytesFormat } from "./codec/bytes.ts";
export type { AnyCodec, Codec, Format } from "./codec/codec.ts";
export type { MessageCodec } from "./codec/wire/message-codec.ts";
export type { MessageInit } from "./codec/wire/message-init.ts";
export type { Config, ConfigReader, ConfigSource } from "./config/config.ts";
export { envSource } from "./config/env/source.ts";
export { type FileSourceOptions, fileSource } from "./config/file/source.ts";
export { flagsSource } from "./config/flags/source.ts";
export { type LoadConfigOptions, loadConfig } from "./config/load.ts";
export { memorySource } from "./config/memory/source.ts";
export * as read from "./config/readers.ts";
export { schema } from "./config/schema.ts";
export { Secret } from "./config/secret.ts";
export type { Debug } from "./debug/debug.ts";
export { type GoMicroTransportOptions, goMicroTransport } from "./go-micro/transport.ts";
export { cachedRegistry } from "./registry/cache/registry.ts";
export {
  type GossipRegistry,
  type GossipRegistryOptions,
  gossipRegistry,
} from "./registry/gossip/registry.ts";
export { type MdnsRegistryOptions, mdnsRegistry } from "./registry/mdns/registry.ts";
export { MemoryRegistryNetwork, memoryRegistry } from "./registry/memory/registry.ts";
export { type MergedRegistryOptions, mergeRegistries } from "./registry/merged/registry.ts";
export type { Node, Registry, RegistryEvent } from "./registry/registry.ts";
export {
  type StaticNode,
  type StaticRegistryOptions,
  staticRegistry,
} from "./registry/static/registry.ts";
export { byEndpoint, byLabel, byVersion } from "./selector/filters.ts";
export { createSelector, type SelectorOptions } from "./selector/registry-selector.ts";
export type { Selector } from "./selector/selector.ts";
export { strategies } from "./selector/strategies.ts";
export type {
  EventContext,
  Incoming,
  Server,
  ServerInterceptor,
  ServerInterceptorFunction,
  SubscriberOptions,
} from "./server/server.ts";
export type { ServerListen } from "./server/server-parts.ts";
export type { Requirements } from "./service/check-guarantees.ts";
export { configSources } from "./service/config-sources.ts";
export { type ClientOptions, createClient } from "./service/create-client.ts";
export { createServer, type ServerOptions } from "./service/create-server.ts";
export { createService } from "./service/create-service.ts";
export type { Driver } from "./service/driver.ts";
export type { Hook } from "./service/hooks.ts";
export { loadDrivers } from "./service/load-drivers.ts";
export type { RunOptions, Service, ServiceOptions } from "./service/service.ts";
export { memoryStore } from "./store/memory/store.ts";
export type {
  Store,
  StoreEvent,
  StoreRecord,
} from "./store/store.ts";
export { type FileSyncOptions, fileSync } from "./sync/file/sync.ts";
export { MemorySyncNetwork, memorySync } from "./sync/memory/sync.ts";
export type { Leadership, Lock, Sync } from "./sync/sync.ts";
export { compressResponses, requestCompressed } from "./transport/http/compression/keys.ts";
export type { CorsOptions } from "./transport/http/cors.ts";
export { type HttpTransportOptions, httpTransport } from "./transport/http/transport.ts";
export { MemoryNetwork, memoryTransport } from "./transport/memory/transport.ts";
export { type TcpTransportOptions, tcpTransport } from "./transport/tcp/transport.ts";
export {
  type ClientTlsOptions,
  ReloadableIdentity,
  type ServerTlsOptions,
  type TlsIdentity,
} from "./transport/tls.ts";
export type { Transport } from "./transport/transport.ts";
