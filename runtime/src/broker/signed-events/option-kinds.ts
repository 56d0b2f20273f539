import {
  listOf,
  type OptionKind,
  type OptionKindsOf,
  object,
  oneOf,
  optionsOf,
  orFalse,
  part,
  required,
  text,
  texts,
} from "../../base/option-check.ts";
import type { EventKey } from "./event-keys.ts";
import type { EventSigner } from "./event-signature.ts";
import type { EventsOptions } from "./events-options.ts";

/** A key of `node:crypto` or PEM, which messages do not show. */
const eventKey: OptionKind = {
  words: "an Ed25519 key, in PEM or of node:crypto",
  accepts: (value) => text.accepts(value) || object.accepts(value),
  secret: true,
};

/** Kinds of the options of signed events. */
export const eventsKinds: OptionKindsOf<EventsOptions> = {
  sign: optionsOf<EventSigner>({
    issuer: required(text),
    account: required(text),
    keyId: required(text),
    key: required(eventKey),
  }),
  verify: orFalse(oneOf("required", "optional")),
  keys: listOf(
    "keys of publishers",
    '[{ issuer: "acme", account: "service:order", keyId: "order-1", key: pem }]',
    optionsOf<EventKey>({
      issuer: required(text),
      account: required(text),
      keyId: required(text),
      key: required(eventKey),
      type: text,
      scopes: texts,
    }),
  ),
  keySource: part("a source of keys", "publishedEventKeys({ publishers })", "key"),
};

export const events: OptionKind = optionsOf<EventsOptions>(eventsKinds);
