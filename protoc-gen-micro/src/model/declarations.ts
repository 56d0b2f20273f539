import type { DescFile, DescMethod, DescService } from "@bufbuild/protobuf";
import { checkDefaults, type MethodPolicy, methodPolicy } from "../rules/method-policy.ts";
import { defaultServiceName, nameProblem } from "../rules/names.ts";
import { nestedMessages } from "../rules/nested-messages.ts";
import type { Problems } from "../rules/problems.ts";
import {
  methodOption,
  type Rules,
  serviceOption,
  subscribeOption,
  topicOption,
} from "../rules/read.ts";
import { type Subscription, subscription } from "../rules/subscription.ts";
import { type TopicDeclaration, topicDeclaration } from "../rules/topic.ts";
import { checkKnown } from "../rules/unknown-fields.ts";

/** An rpc that clients call. */
export interface MethodModel {
  readonly kind: "method";
  readonly desc: DescMethod;
  readonly policy: MethodPolicy;
}

/** An rpc that receives the events of a topic. */
export interface SubscriberModel {
  readonly kind: "subscriber";
  readonly desc: DescMethod;
  readonly subscription: Subscription;
  readonly topicName: string;
}

export interface ServiceModel {
  readonly desc: DescService;
  /** The name under which the registry finds it. */
  readonly registryName: string;
  /** In the order of the .proto file. */
  readonly rpcs: readonly (MethodModel | SubscriberModel)[];
}

/** The services and topics of a .proto file, with their options read, checked and resolved. */
export interface Declarations {
  readonly file: DescFile;
  readonly services: readonly ServiceModel[];
  readonly topics: readonly TopicDeclaration[];
}

/** Reads a file, and reports mistakes in its options to `problems`. */
export function declarationsOf(file: DescFile, rules: Rules, problems: Problems): Declarations {
  const services = file.services.map((desc) => serviceModel(desc, rules, problems));
  const topics: TopicDeclaration[] = [];
  for (const message of nestedMessages(file)) {
    const rule = rules.topic(message);
    if (rule === undefined) continue;
    checkKnown(message, rule, topicOption, problems);
    topics.push(topicDeclaration(message, rule, problems));
  }
  return { file, services, topics };
}

function serviceModel(desc: DescService, rules: Rules, problems: Problems): ServiceModel {
  const rule = rules.service(desc);
  checkKnown(desc, rule, serviceOption, problems);
  if (rule !== undefined) {
    const wrong = rule.name === "" ? undefined : nameProblem(rule.name);
    if (wrong !== undefined) {
      problems.add("MICRO_SERVICE_NAME", desc, [...serviceOption, 1], `service.name ${wrong}`);
    }
    checkDefaults(desc, rule, problems);
  }
  return {
    desc,
    registryName: rule?.name || defaultServiceName(desc),
    rpcs: desc.methods.map((rpc) => {
      const subscribe = rules.subscribe(rpc);
      const own = rules.method(rpc);
      checkKnown(rpc, own, methodOption, problems);
      checkKnown(rpc, subscribe, subscribeOption, problems);
      if (subscribe === undefined) {
        const policy = methodPolicy(rpc, own, rule?.defaults, problems);
        return { kind: "method", desc: rpc, policy };
      }
      const topicName = rules.topic(rpc.input)?.name;
      return {
        kind: "subscriber",
        desc: rpc,
        subscription: subscription(rpc, subscribe, own, topicName, problems),
        topicName: topicName ?? "",
      };
    }),
  };
}
