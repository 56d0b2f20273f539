import type { RuleDescription } from "../rules/lint-rules.ts";

/** Rules for changes of a schema. */
export type BreakingRuleId =
  | "MICRO_SERVICE_SAME_NAME"
  | "MICRO_METHOD_SAME_ROLE"
  | "MICRO_METHOD_STAYS_IDEMPOTENT"
  | "MICRO_METHOD_NOT_NEWLY_REPEATED"
  | "MICRO_TIMEOUT_NO_DECREASE"
  | "MICRO_AUTH_NO_DELETE"
  | "MICRO_AUTH_NO_ADD"
  | "MICRO_SCOPE_NO_DELETE"
  | "MICRO_SCOPE_NO_ADD"
  | "MICRO_TOPIC_NO_DELETE"
  | "MICRO_TOPIC_SAME_NAME"
  | "MICRO_TOPIC_SAME_EVENT"
  | "MICRO_TOPIC_SAME_KEY"
  | "MICRO_SUBSCRIBER_SAME_QUEUE";

/**
 * Changes that break callers, subscribers and handlers built with the old schema. buf's own rules
 * cover protobuf itself, such as deleted rpcs.
 */
export const breakingRules: Readonly<Record<BreakingRuleId, RuleDescription>> = {
  MICRO_SERVICE_SAME_NAME: {
    purpose: "Checks that services keep the name under which callers find them.",
    default: true,
  },
  MICRO_METHOD_SAME_ROLE: {
    purpose:
      "Checks that methods do not become subscribers, and subscribers do not become methods.",
    default: true,
  },
  MICRO_METHOD_STAYS_IDEMPOTENT: {
    purpose: "Checks that methods that callers repeat after a failure are still safe to repeat.",
    default: true,
  },
  MICRO_METHOD_NOT_NEWLY_REPEATED: {
    purpose:
      "Checks that callers do not start to repeat a method whose running handlers may not support it.",
    default: true,
  },
  MICRO_TIMEOUT_NO_DECREASE: {
    purpose: "Checks that timeouts do not decrease.",
    default: true,
  },
  MICRO_AUTH_NO_DELETE: {
    purpose: "Checks that methods that require an account still require one.",
    default: true,
  },
  MICRO_AUTH_NO_ADD: {
    purpose: "Checks that methods that require no account do not start to require one.",
    default: true,
  },
  MICRO_SCOPE_NO_DELETE: {
    purpose: "Checks that methods still require all scopes that they required.",
    default: true,
  },
  MICRO_SCOPE_NO_ADD: {
    purpose: "Checks that methods do not require additional scopes.",
    default: true,
  },
  MICRO_TOPIC_NO_DELETE: {
    purpose: "Checks that topics are not deleted.",
    default: true,
  },
  MICRO_TOPIC_SAME_NAME: {
    purpose: "Checks that events keep the topic to which subscribers listen.",
    default: true,
  },
  MICRO_TOPIC_SAME_EVENT: {
    purpose: "Checks that topics keep their event type.",
    default: true,
  },
  MICRO_TOPIC_SAME_KEY: {
    purpose: "Checks that topics keep the key that orders their events.",
    default: true,
  },
  MICRO_SUBSCRIBER_SAME_QUEUE: {
    purpose: "Checks that subscribers stay in their queue group.",
    default: true,
  },
};
