import {
  countUpTo,
  durationMs,
  either,
  type OptionKind,
  type OptionKindsOf,
  optionsOf,
  part,
  secret,
  text,
  texts,
} from "@micro-es/runtime/driver";
import type { NatsOptions, NatsTlsOptions } from "./options.ts";

/** A connection that several drivers share. */
export const natsLink: OptionKind = part("a NatsLink", "new NatsLink({ servers })", "open", "live");

const onlyTrue: OptionKind = { words: "true", accepts: (value) => value === true };

/** The options for servers and connections. */
export const natsKinds: OptionKindsOf<NatsOptions> = {
  servers: {
    words: 'addresses, for example "nats://host:4222", or a list of them',
    accepts: (value) => text.accepts(value) || texts.accepts(value),
    secret: true,
  },
  name: text,
  user: text,
  password: secret,
  token: secret,
  credentials: text,
  nkey: secret,
  tls: either(optionsOf<NatsTlsOptions>({ ca: text, cert: text, key: secret }), onlyTrue),
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
