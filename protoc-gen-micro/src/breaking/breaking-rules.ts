import type { RuleDescription } from "../rules/lint-rules.ts";

/** The rules about a change of a schema. */
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
 * What may not change while callers, subscribers and handlers that were built before still run. What protobuf itself
 * has, such as a deleted rpc, is for buf's own rules.
 */
export const breakingRules: Readonly<Record<BreakingRuleId, RuleDescription>> = {
  MICRO_SERVICE_SAME_NAME: {
    purpose: "Checks that services keep the name that callers find them by.",
    default: true,
  },
  MICRO_METHOD_SAME_ROLE: {
    purpose: "Checks that methods do not become subscribers, nor subscribers methods.",
    default: true,
  },
  MICRO_METHOD_STAYS_IDEMPOTENT: {
    purpose: "Checks that methods which callers repeat after a failure may still be repeated.",
    default: true,
  },
  MICRO_METHOD_NOT_NEWLY_REPEATED: {
    purpose:
      "Checks that callers do not begin to repeat a method whose running handlers may not bear it.",
    default: true,
  },
  MICRO_TIMEOUT_NO_DECREASE: {
    purpose: "Checks that methods have no less time than before.",
    default: true,
  },
  MICRO_AUTH_NO_DELETE: {
    purpose: "Checks that methods which need an account still do.",
    default: true,
  },
  MICRO_AUTH_NO_ADD: {
    purpose: "Checks that methods which need no account do not begin to.",
    default: true,
  },
  MICRO_SCOPE_NO_DELETE: {
    purpose: "Checks that methods need every scope that they needed.",
    default: true,
  },
  MICRO_SCOPE_NO_ADD: {
    purpose: "Checks that methods need no scope that their callers may lack.",
    default: true,
  },
  MICRO_TOPIC_NO_DELETE: {
    purpose: "Checks that topics are not deleted.",
    default: true,
  },
  MICRO_TOPIC_SAME_NAME: {
    purpose: "Checks that events keep the topic that subscribers listen to.",
    default: true,
  },
  MICRO_TOPIC_SAME_EVENT: {
    purpose: "Checks that topics keep their type of event.",
    default: true,
  },
  MICRO_TOPIC_SAME_KEY: {
    purpose: "Checks that the events of a topic are ordered by the same field.",
    default: true,
  },
  MICRO_SUBSCRIBER_SAME_QUEUE: {
    purpose: "Checks that subscribers stay in their queue group.",
    default: true,
  },
};
