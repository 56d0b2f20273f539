import type { Declarations } from "../model/declarations.ts";
import type { LintRuleId } from "../rules/lint-rules.ts";
import type { Problems } from "../rules/problems.ts";
import { methodOption, topicOption } from "../rules/read.ts";
import type { Element } from "../rules/source-info.ts";

const dotted = /^[a-z][a-z0-9_-]*(\.[a-z0-9][a-z0-9_-]*)+$/;

/** Checks the conventions, which the generator does not enforce. */
export function checkTaste({ services, topics }: Declarations, problems: Problems): void {
  // An option with an error is not missing.
  const isWrong = (element: Element, rule: LintRuleId) =>
    problems.found.some((problem) => problem.element === element && problem.rule === rule);
  for (const { message, name, key } of topics) {
    if (!dotted.test(name)) {
      const advice = "use lower-case words separated by dots, such as shop.order_placed";
      problems.add(
        "MICRO_TOPIC_NAME_DOTTED",
        message,
        [...topicOption, 1],
        `topic.name is ${JSON.stringify(name)}; ${advice}`,
      );
    }
    if (key === undefined && !isWrong(message, "MICRO_TOPIC_KEY")) {
      problems.add(
        "MICRO_TOPIC_HAS_KEY",
        message,
        topicOption,
        `topic ${JSON.stringify(name)} has no key, so its events are not ordered; set topic.key to the field that orders them`,
      );
    }
  }
  for (const { rpcs } of services) {
    for (const rpc of rpcs) {
      if (rpc.kind !== "method") continue;
      const { desc, policy } = rpc;
      if (policy.timeoutMs === undefined && !isWrong(desc, "MICRO_TIMEOUT")) {
        problems.add(
          "MICRO_METHOD_HAS_TIMEOUT",
          desc,
          methodOption,
          "the method has no timeout; set one here or in the service's defaults",
        );
      }
      if (policy.auth === undefined) {
        problems.add(
          "MICRO_METHOD_HAS_AUTH",
          desc,
          methodOption,
          "the method has no auth; set it here or in the service's defaults",
        );
      }
    }
  }
}
