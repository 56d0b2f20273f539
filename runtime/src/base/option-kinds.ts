import type { Backoff } from "./backoff.ts";
import { Metadata } from "./metadata.ts";
import {
  durationMs,
  listOf,
  numberBetween,
  type OptionKind,
  type OptionKindsOf,
  object,
  optionsOf,
  part,
  signal,
  texts,
} from "./option-check.ts";

/*
 * Kinds of options that several interfaces share. Parts are recognized by their methods, because
 * any implementation will do.
 */

export const registry: OptionKind = part("a Registry", "mdnsRegistry()", "register", "get");
export const broker: OptionKind = part(
  "a Broker",
  "httpBroker({ registry })",
  "publish",
  "subscribe",
);
export const selector: OptionKind = part(
  "a Selector",
  "createSelector({ registry })",
  "select",
  "onNodeChange",
);
export const client: OptionKind = part("a Client", "createClient()", "unary", "bidi");
export const transport: OptionKind = part("a Transport", "tcpTransport()", "dial", "listen");
export const transports: OptionKind = listOf("transports", "[tcpTransport()]", transport);
export const drivers: OptionKind = listOf("drivers", "[nats] or await loadDrivers()", {
  words: "a Driver",
  accepts: (value) =>
    part("", "", "open").accepts(value) &&
    Array.isArray((value as { readonly schemes?: unknown }).schemes),
});
export const credentials: OptionKind = part(
  "a CredentialSource",
  'fileToken("/run/secrets/token")',
  "credential",
);
/** Where credentials may be sent. */
export const credentialPolicy: OptionKind = optionsOf<{
  allowHosts: unknown;
  allowPlaintext: unknown;
}>({ allowHosts: texts, allowPlaintext: texts });
export const owned: OptionKind = listOf(
  "parts with close()",
  "[link]",
  part("a part", "link", "close"),
);

/** A duration that may be infinite. */
export const anyDuration: OptionKind = durationMs(0, Number.POSITIVE_INFINITY);

/** The timeout of a call; with 0 its deadline has passed before it begins. */
export const callTimeout: OptionKind = {
  words: "a duration in milliseconds over 0, for example 2000",
  accepts: (value) => typeof value === "number" && value > 0,
};

/** The waits of a backoff. */
export const backoffKinds: OptionKindsOf<Backoff> = {
  firstMs: durationMs(0),
  factor: numberBetween(1, Number.POSITIVE_INFINITY),
  mostMs: durationMs(0),
  jitter: numberBetween(0, 1),
};

/** Initial entries of a metadata. Its constructor checks keys and values. */
export const metadata: OptionKind = {
  words: 'metadata, for example { "x-tenant": "a" }',
  accepts: (value) => value instanceof Metadata || (typeof value === "object" && value !== null),
};

/** The incoming call or event on whose behalf an operation runs. */
export const context: OptionKind = {
  words: "the context of a call or an event, as its handler gets it",
  accepts: (value) =>
    object.accepts(value) && signal.accepts((value as { readonly signal?: unknown }).signal),
};
