import {
  backendAddresses,
  backendTls,
  countUpTo,
  durationMs,
  type OptionKind,
  type OptionKindsOf,
  part,
  secret,
  text,
} from "@micro-es/runtime/driver";
import type { NatsOptions } from "./options.ts";

/** A connection that several drivers share. */
export const natsLink: OptionKind = part("a NatsLink", "new NatsLink({ servers })", "open", "live");

/** The options for servers and connections. */
export const natsKinds: OptionKindsOf<NatsOptions> = {
  servers: backendAddresses("nats://host:4222"),
  name: text,
  user: text,
  password: secret,
  token: secret,
  credentials: text,
  nkey: secret,
  tls: backendTls,
  timeoutMs: durationMs(1),
  startTimeoutMs: durationMs(0),
};

/** The options that every driver accepts. */
export const natsDriverKinds: OptionKindsOf<NatsOptions & { link?: object }> = {
  ...natsKinds,
  link: natsLink,
};

/** The most replicas of a bucket or a stream that NATS supports. */
export const maxReplicas = 5;

/** Replicas of a bucket or a stream in a cluster. */
export const replicas: OptionKind = countUpTo(maxReplicas);
