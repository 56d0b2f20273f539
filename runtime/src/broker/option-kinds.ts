import {
  callback,
  count,
  countOrNone,
  deadlineKind,
  durationMs,
  either,
  type OptionKind,
  type OptionKindsOf,
  optionsOf,
  part,
  required,
  signal,
  text,
} from "../base/option-check.ts";
import { context, metadata } from "../base/option-kinds.ts";
import { propagatedKeys } from "../base/secret-keys.ts";
import type { Deduplicate, OutgoingEvent, PublishOptions, SubscribeOptions } from "./broker.ts";
import type { DeadLetterListOptions } from "./dead-letter-admin.ts";

/** Kinds of the publish options; those of a typed event are passed to the broker unchanged. */
export const publishKinds: OptionKindsOf<PublishOptions & Pick<OutgoingEvent, "metadata" | "id">> =
  {
    signal,
    context,
    deadline: deadlineKind,
    metadata,
    id: text,
  };

/** Kinds of the options for listing dead letters. */
export const deadLetterListKinds: OptionKindsOf<DeadLetterListOptions> = {
  after: text,
  limit: either(countOrNone, {
    words: "Infinity",
    accepts: (value) => value === Number.POSITIVE_INFINITY,
  }),
  signal,
};

const from: OptionKind = {
  words: '"first", a Date, or a sequence number such as 7n',
  accepts: (value) =>
    value === "first" ||
    typeof value === "bigint" ||
    (value instanceof Date && !Number.isNaN(value.getTime())),
};

/** Kinds of the subscription options. */
export const subscribeKinds: OptionKindsOf<SubscribeOptions> = {
  queue: text,
  maxInFlight: count,
  maxPending: count,
  maxDeliveries: count,
  maxMessageElements: count,
  redeliveryBackoffMs: durationMs(0),
  handlerTimeoutMs: durationMs(1, Number.MAX_SAFE_INTEGER),
  propagate: propagatedKeys,
  deadLetter: text,
  admit: callback,
  deduplicate: optionsOf<Deduplicate>({
    store: required(part("a Store", "memoryStore()", "read", "write", "delete")),
    ttlMs: required(durationMs(1, Number.MAX_SAFE_INTEGER)),
    scope: text,
    claimMs: durationMs(3),
  }),
  from,
  signal,
};
