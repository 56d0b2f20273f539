import type { Backoff } from "../base/backoff.ts";
import { type Code, isCode } from "../base/error.ts";
import {
  callback,
  count,
  deadlineKind,
  durationMs,
  either,
  flag,
  list,
  logger,
  numberBetween,
  type OptionKind,
  type OptionKindsOf,
  optionsOf,
  orFalse,
  required,
  signal,
  text,
} from "../base/option-check.ts";
import {
  anyDuration,
  backoffKinds,
  callTimeout,
  context,
  credentialPolicy,
  credentials,
  metadata,
  owned,
  selector,
  transports,
} from "../base/option-kinds.ts";
import type { RetryPolicy } from "../call/method.ts";
import type { CallOptions } from "./client.ts";
import type { ClientParts } from "./client-parts.ts";
import type { RetryBudgetOptions } from "./retry-budget.ts";

const codes: OptionKind = {
  words: 'a list of error codes, for example ["unavailable"]',
  accepts: (value) => Array.isArray(value) && value.every((code) => isCode(code as Code)),
};

/** Kinds of the retry options, of a client or of one call. */
export const retryKinds: OptionKindsOf<RetryPolicy> = {
  attempts: count,
  backoffMs: durationMs(0),
  maxBackoffMs: durationMs(0),
  on: codes,
};

/** Kinds of the options of a client's retry budget. */
export const retryBudgetKinds: OptionKindsOf<RetryBudgetOptions> = {
  ratio: numberBetween(0, Number.POSITIVE_INFINITY),
  perSecond: numberBetween(0, Number.POSITIVE_INFINITY),
  most: numberBetween(0, Number.POSITIVE_INFINITY),
};

/** Kinds of a client's options, except its selector and transports. */
export const clientLimitKinds: OptionKindsOf<Omit<ClientParts, "selector" | "transports">> = {
  timeoutMs: callTimeout,
  interceptors: list,
  credentials,
  credentialPolicy,
  retry: orFalse(optionsOf<RetryPolicy>(retryKinds)),
  retryBudget: orFalse(optionsOf<RetryBudgetOptions>(retryBudgetKinds)),
  filters: list,
  maxConnectionsPerNode: count,
  maxAddresses: count,
  dialTimeoutMs: durationMs(1),
  reconnect: optionsOf<Backoff>(backoffKinds),
  idleMs: anyDuration,
  owned,
  logger,
  random: callback,
};

/** Kinds of the parts of `buildClient`. */
export const clientPartKinds: OptionKindsOf<ClientParts> = {
  selector: required(selector),
  transports: required(transports),
  ...clientLimitKinds,
};

/** A call's own timeout may have expired before the call begins, which has an error of its own. */
const ownTimeout: OptionKind = {
  words: "a duration in milliseconds, for example 2000",
  accepts: (value) => typeof value === "number" && !Number.isNaN(value),
};

/** Kinds of the options of a call. */
export const callKinds: OptionKindsOf<CallOptions> = {
  context,
  timeoutMs: ownTimeout,
  deadline: deadlineKind,
  signal,
  metadata,
  credentials: orFalse(credentials),
  retry: orFalse(optionsOf<RetryPolicy>(retryKinds)),
  idempotent: flag,
  service: text,
  address: text,
  filters: list,
  compress: either(flag, callback),
  onResponseMetadata: callback,
  onTrailers: callback,
};
