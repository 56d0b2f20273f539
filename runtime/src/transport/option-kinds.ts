import {
  byteCountUpTo,
  callback,
  countUpTo,
  deadlineKind,
  durationMs,
  flag,
  type OptionKind,
  type OptionKindsOf,
  object,
  oneOf,
  optionsOf,
  pem,
  required,
  secret,
  signal,
  text,
  texts,
} from "../base/option-check.ts";
import type { ClientTlsOptions, ServerTlsOptions, TlsIdentity } from "./tls.ts";
import type { DialOptions, ListenOptions, TransportLimits } from "./transport.ts";

/** The largest number that both the wire formats and Node's timers can hold. */
export const maxInt32 = 0x7fff_ffff;

/** The limits that every transport accepts. */
export const limitKinds: OptionKindsOf<TransportLimits> = {
  maxMessageBytes: byteCountUpTo(maxInt32),
  maxMessageElements: countUpTo(maxInt32),
  maxConcurrentCalls: countUpTo(maxInt32),
  streamWindowBytes: byteCountUpTo(maxInt32),
  handshakeTimeoutMs: durationMs(1),
  keepaliveIntervalMs: durationMs(1),
  keepaliveTimeoutMs: durationMs(1),
  maxConnections: countUpTo(maxInt32),
};

/** The options of a dial. */
export const dialKinds: OptionKindsOf<DialOptions> = {
  deadline: deadlineKind,
  signal,
  service: text,
};

/** The callbacks of a listener. */
export const listenKinds: OptionKindsOf<ListenOptions> = {
  onConnectionError: callback,
  onRefusedOrigin: callback,
  onRefusedHost: callback,
  notReady: callback,
};

const identityKinds: OptionKindsOf<TlsIdentity> = {
  key: pem,
  cert: pem,
  ca: pem,
  passphrase: secret,
  crl: pem,
};

/** A `ReloadableIdentity` validates its own content. */
const identity = optionsOf<TlsIdentity>(identityKinds);

const serverIdentity: OptionKind = {
  words: 'a DNS name or SPIFFE id, for example "spiffe://trust.example/orders", or a list of them',
  accepts: (value) =>
    Array.isArray(value) ? value.length > 0 && texts.accepts(value) : text.accepts(value),
};

/** TLS of a transport, for servers and clients. */
export const tls: OptionKind = optionsOf<{ server: ServerTlsOptions; client: ClientTlsOptions }>({
  server: optionsOf<ServerTlsOptions>({
    identity: required(identity),
    clientCertificate: oneOf("none", "optional", "required"),
    requireClientCertificate: flag,
  }),
  client: optionsOf<ClientTlsOptions>({
    identity,
    serverName: text,
    serverIdentity,
    serverIdentities: {
      words:
        'an object with a DNS name or SPIFFE id, or a list of them, for each service, for example { orders: "spiffe://trust.example/orders" }',
      accepts: (value) =>
        object.accepts(value) && Object.values(value as object).every(serverIdentity.accepts),
    },
    identityOf: callback,
    insecure: flag,
  }),
});

/** How messages are encoded. */
export const encoding: OptionKind = oneOf("binary", "json");

/** Host names that requests may use. */
export const hosts: OptionKind = texts;
