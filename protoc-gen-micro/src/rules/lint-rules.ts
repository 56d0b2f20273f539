/** What buf is told of a rule. */
export interface RuleDescription {
  /** A sentence. */
  readonly purpose: string;
  /** Whether buf checks it without being asked. */
  readonly default: boolean;
}

/** The rules about a schema as it stands. */
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
 * Every rule about the micro.v1 options. What a default one finds the generator refuses, because it cannot be
 * meant; the others are a matter of taste, and for `buf lint` alone.
 */
export const lintRules: Readonly<Record<LintRuleId, RuleDescription>> = {
  MICRO_OPTION_KNOWN: {
    purpose: "Checks that the micro.v1 options have no field that this version does not know.",
    default: true,
  },
  MICRO_SERVICE_NAME: {
    purpose: "Checks that micro.v1.service names can be names in a registry.",
    default: true,
  },
  MICRO_TIMEOUT: {
    purpose: "Checks that timeouts are durations above zero that a timer can wait.",
    default: true,
  },
  MICRO_RETRY: {
    purpose: "Checks that retries have 2 to 5 attempts, waits above zero and codes of gRPC.",
    default: true,
  },
  MICRO_RETRY_IDEMPOTENT: {
    purpose: "Checks that only methods that may be repeated are retried.",
    default: true,
  },
  MICRO_AUTH: {
    purpose:
      "Checks that a method is not both public and in need of scopes, and that scopes have a name.",
    default: true,
  },
  MICRO_TOPIC_NAME: {
    purpose: "Checks that topics have a name that brokers take.",
    default: true,
  },
  MICRO_TOPIC_UNIQUE: {
    purpose: "Checks that a topic has one type of event.",
    default: true,
  },
  MICRO_TOPIC_KEY: {
    purpose: "Checks that the key of a topic is a scalar field of its event.",
    default: true,
  },
  MICRO_SUBSCRIBER: {
    purpose:
      "Checks that subscribers take one event of a topic, return Empty, and cannot feed themselves.",
    default: true,
  },
  MICRO_TOPIC_NAME_DOTTED: {
    purpose:
      "Checks that topics are named by small words with dots between, such as shop.order_placed.",
    default: false,
  },
  MICRO_TOPIC_HAS_KEY: {
    purpose: "Checks that every topic says by which field its events are ordered.",
    default: false,
  },
  MICRO_METHOD_HAS_TIMEOUT: {
    purpose: "Checks that every method, or its service, says how long a call may take.",
    default: false,
  },
  MICRO_METHOD_HAS_AUTH: {
    purpose: "Checks that every method, or its service, says who may call it.",
    default: false,
  },
};
