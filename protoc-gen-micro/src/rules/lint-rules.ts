/** A rule as described to buf. */
export interface RuleDescription {
  /** A sentence. */
  readonly purpose: string;
  /** Whether buf checks it unless buf.yaml lists other rules. */
  readonly default: boolean;
}

/** Rules for a single version of a schema. */
export type LintRuleId =
  | "MICRO_OPTION_KNOWN"
  | "MICRO_SERVICE_NAME"
  | "MICRO_TIMEOUT"
  | "MICRO_RETRY"
  | "MICRO_RETRY_IDEMPOTENT"
  | "MICRO_AUTH"
  | "MICRO_TOPIC_NAME"
  | "MICRO_TOPIC_UNIQUE"
  | "MICRO_TOPIC_KEY"
  | "MICRO_SUBSCRIBER"
  | "MICRO_TOPIC_NAME_DOTTED"
  | "MICRO_TOPIC_HAS_KEY"
  | "MICRO_METHOD_HAS_TIMEOUT"
  | "MICRO_METHOD_HAS_AUTH";

/**
 * All rules for the micro.v1 options. The generator enforces the default ones, which detect
 * contradictions; the others are conventions that only `buf lint` checks.
 */
export const lintRules: Readonly<Record<LintRuleId, RuleDescription>> = {
  MICRO_OPTION_KNOWN: {
    purpose: "Checks that the micro.v1 options have no fields unknown to this version.",
    default: true,
  },
  MICRO_SERVICE_NAME: {
    purpose: "Checks that micro.v1.service names are valid registry names.",
    default: true,
  },
  MICRO_TIMEOUT: {
    purpose: "Checks that timeouts are above zero and within the range of a timer.",
    default: true,
  },
  MICRO_RETRY: {
    purpose: "Checks that retries have 2 to 5 attempts, backoffs above zero and gRPC codes.",
    default: true,
  },
  MICRO_RETRY_IDEMPOTENT: {
    purpose: "Checks that only methods that are safe to repeat have a retry.",
    default: true,
  },
  MICRO_AUTH: {
    purpose: "Checks that no method is public and requires scopes, and no scope is empty.",
    default: true,
  },
  MICRO_TOPIC_NAME: {
    purpose: "Checks that topic names are valid for every broker.",
    default: true,
  },
  MICRO_TOPIC_UNIQUE: {
    purpose: "Checks that each topic has a single event type.",
    default: true,
  },
  MICRO_TOPIC_KEY: {
    purpose: "Checks that topic keys are scalar fields of the event.",
    default: true,
  },
  MICRO_SUBSCRIBER: {
    purpose:
      "Checks that subscribers receive one event of a topic, return Empty, and do not dead-letter to their own topic.",
    default: true,
  },
  MICRO_TOPIC_NAME_DOTTED: {
    purpose:
      "Checks that topic names are lower-case words separated by dots, such as shop.order_placed.",
    default: false,
  },
  MICRO_TOPIC_HAS_KEY: {
    purpose: "Checks that every topic has a key, which orders its events.",
    default: false,
  },
  MICRO_METHOD_HAS_TIMEOUT: {
    purpose: "Checks that every method or its service sets a timeout.",
    default: false,
  },
  MICRO_METHOD_HAS_AUTH: {
    purpose: "Checks that every method or its service sets auth.",
    default: false,
  },
};
