import {
  type DescExtension,
  type DescFile,
  type DescMessage,
  type DescMethod,
  type DescService,
  getOption,
  hasOption,
} from "@bufbuild/protobuf";
import {
  type MethodRule,
  method,
  type ServiceRule,
  type SubscribeRule,
  service,
  subscribe,
  type TopicRule,
  topic,
} from "../gen/micro/v1/options_pb.ts";

// Paths to the options, as in protobuf's source information: the number of the field `options` in
// the descriptor of a service, rpc or message, and the number of the extension.
export const serviceOption: readonly number[] = [3, service.number];
export const methodOption: readonly number[] = [4, method.number];
export const subscribeOption: readonly number[] = [4, subscribe.number];
export const topicOption: readonly number[] = [7, topic.number];

/** The micro.v1 options of a run, as written in the schema. */
export interface Rules {
  service(desc: DescService): ServiceRule | undefined;
  method(desc: DescMethod): MethodRule | undefined;
  subscribe(desc: DescMethod): SubscribeRule | undefined;
  topic(desc: DescMessage): TopicRule | undefined;
}

/**
 * Reads the options if the run imports `micro/v1/options.proto`. Their numbers are from the range
 * for private use, so in a run without that file they may belong to other options.
 */
export function createRules(files: Iterable<DescFile>): Rules {
  let present = false;
  for (const file of files) present ||= file.extensions.some(declaresOptions);
  return {
    service: (desc) => (present && hasOption(desc, service) ? getOption(desc, service) : undefined),
    method: (desc) => (present && hasOption(desc, method) ? getOption(desc, method) : undefined),
    subscribe: (desc) =>
      present && hasOption(desc, subscribe) ? getOption(desc, subscribe) : undefined,
    topic: (desc) => (present && hasOption(desc, topic) ? getOption(desc, topic) : undefined),
  };
}

function declaresOptions(extension: DescExtension): boolean {
  return extension.typeName === method.typeName;
}
