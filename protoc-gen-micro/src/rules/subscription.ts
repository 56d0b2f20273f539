import type { DescMethod } from "@bufbuild/protobuf";
import type { MethodRule, SubscribeRule } from "../gen/micro/v1/options_pb.ts";
import { nameProblem } from "./names.ts";
import type { Problems } from "./problems.ts";
import { methodOption, subscribeOption } from "./read.ts";

/** The options of a subscriber rpc; the names are those of the runtime's `SubscriberOptions`. */
export interface Subscription {
  readonly queue?: string;
  readonly maxInFlight?: number;
  readonly maxDeliveries?: number;
  readonly deadLetter?: string;
}

const QUEUE = 1;
const DEAD_LETTER = 4;

/** Checks an rpc with `micro.v1.subscribe` and reads its options. */
export function subscription(
  rpc: DescMethod,
  rule: SubscribeRule,
  methodRule: MethodRule | undefined,
  topicName: string | undefined,
  problems: Problems,
): Subscription {
  const report = (path: readonly number[], message: string): void =>
    problems.add("MICRO_SUBSCRIBER", rpc, [...subscribeOption, ...path], message);

  if (topicName === undefined) {
    const option = 'option (micro.v1.topic) = { name: "…" }';
    report([], `subscribes to ${rpc.input.typeName}, which has no topic; add ${option} to it`);
  }
  if (rpc.output.typeName !== "google.protobuf.Empty") {
    const empty = "a subscriber must return google.protobuf.Empty";
    report([], `${empty}, because its response is discarded; it returns ${rpc.output.typeName}`);
  }
  if (rpc.methodKind !== "unary") {
    report([], "a subscriber receives one event at a time; remove stream");
  }
  const meaningless = (["timeout", "retry", "auth"] as const).filter(
    (part) => methodRule?.[part] !== undefined,
  );
  if (meaningless.length > 0) {
    const parts = meaningless.join(", ");
    problems.add(
      "MICRO_SUBSCRIBER",
      rpc,
      methodOption,
      `${parts} of a subscriber has no effect, because clients cannot call it; remove micro.v1.method`,
    );
  }
  const queueProblem = rule.queue === "" ? undefined : nameProblem(rule.queue);
  if (queueProblem !== undefined) report([QUEUE], `subscribe.queue ${queueProblem}`);
  const deadLetterProblem = rule.deadLetter === "" ? undefined : nameProblem(rule.deadLetter);
  if (deadLetterProblem !== undefined) {
    report([DEAD_LETTER], `subscribe.dead_letter ${deadLetterProblem}`);
  } else if (rule.deadLetter !== "" && rule.deadLetter === topicName) {
    const loop = "is the topic it subscribes to, so a failed event would return forever";
    report([DEAD_LETTER], `subscribe.dead_letter ${rule.deadLetter} ${loop}; name another topic`);
  }
  return {
    ...(rule.queue !== "" && { queue: rule.queue }),
    ...(rule.maxInFlight > 0 && { maxInFlight: rule.maxInFlight }),
    ...(rule.maxDeliveries > 0 && { maxDeliveries: rule.maxDeliveries }),
    ...(rule.deadLetter !== "" && { deadLetter: rule.deadLetter }),
  };
}
