export * from "./address.ts";
export * from "./backend.ts";
export type { Backoff } from "./backoff.ts";
export * from "./broker/broker.ts";
export {
  deadLetterAttemptsKey,
  deadLetterReasonKey,
  deadLetterTopicKey,
} from "./broker/dead-letter.ts";
export * from "./broker/dead-letters.ts";
export type { AllowAddress as AllowBrokerAddress } from "./broker/http/reach.ts";
export {
  type HttpBroker,
  type HttpBrokerOptions,
  type HttpBrokerStats,
  httpBroker,
} from "./broker/http.ts";
export {
  MemoryBrokerNetwork,
  type MemoryBrokerOptions,
  memoryBroker,
} from "./broker/memory.ts";
export * from "./broker/topic.ts";
export { type BuiltWith, builtWith, type SchemaDigests } from "./built-with.ts";
export * from "./call.ts";
export * from "./client/client.ts";
export { previousAttemptsKey } from "./client/outbound-call.ts";
export type { RetryBudgetOptions } from "./client/retry-budget.ts";
export { buildClient, type ClientParts } from "./client/rpc-client.ts";
export * from "./codec/bytes.ts";
export * from "./codec/codec.ts";
export { jsonContentType, protobufContentType } from "./codec/content-type.ts";
export type { MessageCodec } from "./codec/wire/message-codec.ts";
export type { MessageInit } from "./codec/wire/message-init.ts";
export * from "./config/config.ts";
export { type EnvSourceOptions, envSource } from "./config/env.ts";
export { type FileSourceOptions, fileSource } from "./config/file.ts";
export type { FileFormat } from "./config/file-format.ts";
export { type FlagsSourceOptions, flagsSource } from "./config/flags.ts";
export { type LoadConfigOptions, loadConfig } from "./config/load.ts";
export { type MemoryConfigSource, memorySource } from "./config/memory.ts";
export {
  between,
  boolean,
  bytes,
  duration,
  integer,
  list,
  number,
  oneOf,
  record,
  secret,
  table,
  text,
} from "./config/readers.ts";
export {
  type StandardIssue,
  type StandardResult,
  type StandardSchema,
  schema,
} from "./config/schema.ts";
export { Secret } from "./config/secret.ts";
export type { ConfigView } from "./config/view.ts";
export { type ClientOptions, createClient } from "./create-client.ts";
export { createServer, type ServerOptions } from "./create-server.ts";
export { createService } from "./create-service.ts";
export * from "./deadline.ts";
export type { Debug, DebuggedService } from "./debug/debug.ts";
export type { ServerAddressOptions, ServerLimitOptions } from "./defaults.ts";
export {
  type EnvironmentValues,
  type EnvironmentVariable,
  type EnvironmentVariables,
  environmentVariables,
  type StoreChoice,
} from "./environment.ts";
export * from "./error.ts";
export type { Hook } from "./hooks.ts";
export * from "./logger.ts";
export * from "./metadata.ts";
export * from "./method.ts";
export {
  type CachedRegistry,
  type CachedRegistryOptions,
  cachedRegistry,
} from "./registry/cache.ts";
export {
  type AllowAddress,
  allowLinkAddress,
  type RecordSource,
} from "./registry/link-address.ts";
export type { MdnsStats } from "./registry/mdns/stats.ts";
export {
  type MdnsRegistry,
  type MdnsRegistryOptions,
  mdnsRegistry,
} from "./registry/mdns.ts";
export {
  MemoryRegistryNetwork,
  type MemoryRegistryOptions,
  memoryRegistry,
} from "./registry/memory.ts";
export * from "./registry/registry.ts";
export * from "./registry/validate.ts";
export type { PartRequirements, Requirements } from "./requirements.ts";
export type * from "./runtime/runtime.ts";
export type { EjectionPolicy } from "./selector/ejection.ts";
export { byEndpoint, byLabel, byVersion } from "./selector/filters.ts";
export { leastLoaded } from "./selector/least-loaded.ts";
export { p2c } from "./selector/p2c.ts";
export { random } from "./selector/random.ts";
export { createSelector, type SelectorOptions } from "./selector/registry-selector.ts";
export { roundRobin } from "./selector/round-robin.ts";
export * from "./selector/selector.ts";
export { type StrategyName, strategies } from "./selector/strategies.ts";
export type { RatedCandidate, Strategy } from "./selector/strategy.ts";
export { buildServer, type ServerListen, type ServerParts } from "./server/rpc-server.ts";
export * from "./server/server.ts";
export * from "./service.ts";
export { type MemoryStoreOptions, memoryStore } from "./store/memory.ts";
export * from "./store/store.ts";
export { type FileSyncOptions, fileSync } from "./sync/file.ts";
export { MemorySyncNetwork, type MemorySyncOptions, memorySync } from "./sync/memory.ts";
export * from "./sync/sync.ts";
export type { GoMicroServeOptions } from "./transport/go-micro/go-micro-front.ts";
export * from "./transport/go-micro.ts";
export { compressAnswers, requestCompressed } from "./transport/http/compression-keys.ts";
export type { CorsOptions } from "./transport/http/cors.ts";
export type { HttpCallOptions } from "./transport/http/http-call-options.ts";
export type { HttpFrontOptions } from "./transport/http/http-front.ts";
export type { HttpServeOptions } from "./transport/http/request-handler.ts";
export type { RpcOptions } from "./transport/http/served-methods.ts";
export * from "./transport/http.ts";
export * from "./transport/memory.ts";
export * from "./transport/tcp.ts";
export {
  type ClientTlsOptions,
  ReloadableIdentity,
  type ServerTlsOptions,
  type TlsIdentity,
} from "./transport/tls.ts";
export * from "./transport/transport.ts";
