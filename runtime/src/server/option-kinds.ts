import type { AccessOptions } from "../auth/access-control.ts";
import {
  callback,
  count,
  durationMs,
  labels,
  list,
  listOf,
  logger,
  type OptionKind,
  type OptionKindsOf,
  oneOf,
  optionsOf,
  orFalse,
  part,
  required,
  secret,
  text,
} from "../base/option-check.ts";
import { anyDuration, broker, client, owned, registry, transport } from "../base/option-kinds.ts";
import { propagatedKeys } from "../base/secret-keys.ts";
import { subscribeKinds } from "../broker/option-kinds.ts";
import type { SubscriberOptions } from "./server.ts";
import type { ServerListen, ServerParts } from "./server-parts.ts";

/** Kind of what verifies callers. */
export const authOrFalse: OptionKind = orFalse(
  part("an Auth", "localAuth({ issuer, store })", "inspect", "token"),
);

/** Kind of what decides about callers in addition to the schema. */
export const access: OptionKind = optionsOf<AccessOptions>({
  rules: part("Rules", "storeRules({ store })", "verify", "grant"),
  authorizers: listOf("authorizers", "[policyEngine]", part("", "", "authorize")),
  unspecified: oneOf("denied", "account"),
});

/** Kind of a server's listen addresses. */
export const listen: OptionKind = listOf(
  "places to listen",
  '[{ transport: tcpTransport(), address: "0.0.0.0:0" }]',
  optionsOf<ServerListen>({
    transport: required(transport),
    address: required(text),
    advertise: orFalse(text),
  }),
);

export const serverLimitKinds: OptionKindsOf<
  Pick<ServerParts, "maxConcurrentCalls" | "maxConcurrentStreams" | "ttlMs" | "drainDelayMs">
> = {
  maxConcurrentCalls: count,
  maxConcurrentStreams: count,
  ttlMs: durationMs(1),
  drainDelayMs: durationMs(0),
};

/** Kinds of the options of a server's subscriber. */
export const subscriberKinds: OptionKindsOf<SubscriberOptions> = {
  ...subscribeKinds,
  name: text,
  service: text,
};

/** Kinds of the parts of `buildServer`. */
export const serverPartKinds: OptionKindsOf<ServerParts> = {
  listenWarning: text,
  name: required(text),
  id: text,
  version: text,
  metadata: labels,
  listen: required(listen),
  registry,
  broker,
  auth: authOrFalse,
  debugToken: secret,
  access,
  client,
  interceptors: list,
  observe: callback,
  abandonAfterMs: anyDuration,
  propagate: propagatedKeys,
  logger,
  owned,
  ...serverLimitKinds,
};
