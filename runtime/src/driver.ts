export {
  abortError,
  listenForAbort,
  pauseUntilAborted,
  throwIfAborted,
  untilAborted,
  waitUntilAborted,
} from "./base/abort.ts";
export {
  type BackendAddress,
  backendAddresses,
  readAddress,
  readAddresses,
  requireUserWithPassword,
} from "./base/backend-addresses.ts";
export { BackendStatus, type StateListener } from "./base/backend-state.ts";
export { type BackendTlsOptions, backendTls, pemPaths, readTls } from "./base/backend-tls.ts";
export { BackendUrl, readParameters } from "./base/backend-url.ts";
export { type Backoff, backoffMs } from "./base/backoff.ts";
export { Closable } from "./base/closable.ts";
export { DeadlineSweep, monotonicNow } from "./base/deadline.ts";
export { LinkedPart } from "./base/linked-part.ts";
export { omitUndefined } from "./base/omit-undefined.ts";
export {
  byteCount,
  byteCountUpTo,
  checkOptions,
  countUpTo,
  durationMs,
  flag,
  labels,
  logger,
  type OptionKind,
  type OptionKindsOf,
  oneOf,
  part,
  port,
  required,
  secret,
  text,
  texts,
} from "./base/option-check.ts";
export { PartLogger } from "./base/part-logger.ts";
export { closeInOrder } from "./base/settle-all.ts";
export { sharedAbortController } from "./base/shared-abort-controller.ts";
export {
  anyText,
  countText,
  durationText,
  flagText,
  oneWord,
  portText,
} from "./base/text-value.ts";
export {
  type BrokerGuarantees,
  type EventEntrance,
  type OutgoingEvent,
  reservedEventKeys,
  type SubscriptionStats,
} from "./broker/broker.ts";
export { BytesUnderWay, eventOverheadBytes } from "./broker/bytes-under-way.ts";
export type { DeadLetterListOptions, DeadLetterTopic } from "./broker/dead-letter-admin.ts";
export { cursorNumber } from "./broker/dead-letter-record.ts";
export {
  type Delivery,
  DeliveryQueue,
  type DeliverySource,
  defaultMaxPendingBytes,
} from "./broker/delivery-queue.ts";
export { type DeliverySettings, deliverySettings } from "./broker/delivery-settings.ts";
export {
  decodeEnvelope,
  decodeGoMicroEvent,
  encodeEnvelope,
  encodeGoMicroHeader,
} from "./broker/envelope.ts";
export {
  abortedPublication,
  checkDescription,
  checkTopic,
  type EventRecord,
  eventRecord,
  recordOfBytes,
  tooLarge,
  withCancellation,
} from "./broker/event.ts";
export {
  type DeadLetterHost,
  type FoundDeadLetter,
  KeptDeadLetters,
} from "./broker/kept-dead-letters.ts";
export { noKey, partitionOf, partitions } from "./broker/key-partition.ts";
export {
  type EventSource,
  LinkedBroker,
  type LinkedBrokerOptions,
  linkedBrokerKinds,
} from "./broker/linked-broker.ts";
export { LocalSubscription } from "./broker/local-subscription.ts";
export { deadLetterListKinds, subscribeKinds } from "./broker/option-kinds.ts";
export type { ServerCall } from "./call/call.ts";
export { ConnectionPeer } from "./call/connection-peer.ts";
export type { MethodKind } from "./call/method.ts";
export { checkJsonElements } from "./codec/json-elements.ts";
export type {
  ConfigSourceGuarantees,
  ConfigTable,
  ConfigValue,
} from "./config/config.ts";
export {
  type ConfigEntries,
  type ConfigEntriesFollower,
  type ConfigEntry,
  EntriesSource,
} from "./config/entries-source.ts";
export type { ConnectionOwner, GoMicroConnection } from "./go-micro/connection.ts";
export type { ConnectionPool } from "./go-micro/connection-pool.ts";
export { connected } from "./go-micro/dial.ts";
export { IncomingConnection } from "./go-micro/incoming-connection.ts";
export type { GoMicroMessage, OutgoingHeader } from "./go-micro/message.ts";
export { GoMicroProtocolServer } from "./go-micro/protocol-server.ts";
export { FollowedRegistry } from "./registry/followed-registry.ts";
export {
  decodeGoMicroService,
  goMicroEndpoints,
  goMicroTtlMs,
} from "./registry/go-micro-service.ts";
export type {
  Following,
  NodeBackend,
  NodeFollower,
  NodeRecord,
  StoredNode,
} from "./registry/node-backend.ts";
export { checkReadOptions, checkRegisterOptions } from "./registry/option-kinds.ts";
export { readOnlyError } from "./registry/read-only.ts";
export {
  defaultTtlMs,
  type Endpoint,
  maxNodeBytes,
  maxNodesPerService,
  type RegisterOptions,
  type Registration,
  type RegistryGuarantees,
} from "./registry/registry.ts";
export { type RegistrationClaim, RenewedRegistration } from "./registry/renewed-registration.ts";
export {
  validateNode,
  validateServiceName,
  validateTtl,
} from "./registry/validate.ts";
export { WatchedNodes } from "./registry/watched-nodes.ts";
export type { Candidate } from "./selector/selector.ts";
export type { Driver, DriverContext, DriverPart, DriverParts } from "./service/driver.ts";
export { ExpiringRecords } from "./store/expiring-records.ts";
export { ExpiryClock } from "./store/expiry-clock.ts";
export { compareKeys, type Listing } from "./store/key.ts";
export { KeyLanes } from "./store/key-lanes.ts";
export type {
  DeleteOptions,
  Fence,
  ListOptions,
  StoreGuarantees,
  StoreWatchOptions,
  WriteOptions,
} from "./store/store.ts";
export { StoreReaders } from "./store/store-readers.ts";
export {
  checkDelete,
  checkKey,
  checkWrite,
  fenceOf,
  quoteKey,
  requireFence,
  requireVersion,
} from "./store/validate-write.ts";
export type { WatchSink } from "./store/watcher.ts";
export { LeaseSync } from "./sync/lease-sync.ts";
export {
  type LeaseRecord,
  type LeaseRecordList,
  type LeaseRecords,
  type LeaseRecordWatcher,
  ObservedLeases,
} from "./sync/observed-leases.ts";
export type {
  LeaderStatus,
  LeadOptions,
  LockListOptions,
  LockOptions,
  LockStatus,
  SyncGuarantees,
} from "./sync/sync.ts";
export {
  checkDial,
  withinDialLimits,
} from "./transport/dial-limits.ts";
export { resolveLimits } from "./transport/limits.ts";
export { MessageListener, openMessageChannel } from "./transport/native/message-channel.ts";
export {
  type MessageCarrier,
  MessageSocket,
  resetMessage,
} from "./transport/native/message-socket.ts";
export { NativeListener } from "./transport/native/native-listener.ts";
export { encoding, limitKinds, listenKinds } from "./transport/option-kinds.ts";
export type {
  Channel,
  ChannelState,
  DialOptions,
  Dispatcher,
  EndWatcher,
  Listener,
  ListenOptions,
  OutgoingCall,
  TransportGuarantees,
  TransportLimits,
  UnaryReceiver,
  WatchedIterator,
} from "./transport/transport.ts";
