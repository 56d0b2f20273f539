import type { ServiceModel, SubscriberModel } from "../model/declarations.ts";
import { type EmitContext, topicValue } from "./context.ts";
import { type Code, expanded, fits, list, literal, propertyOf } from "./layout.ts";
import type { Signature } from "./writer.ts";

/** The handler method that receives the events of a topic. */
export function subscriberSignature(
  { writer }: EmitContext,
  { desc }: SubscriberModel,
  name: string,
): Signature {
  return {
    name,
    parameters: [
      { name: "event", type: writer.shape(desc.input) },
      { name: "context", type: writer.type("EventContext") },
    ],
    returns: [writer.type("Awaitable"), "<void>"],
  };
}

/** The statement that subscribes this method. */
export function subscribeStatement(
  context: EmitContext,
  service: ServiceModel,
  { desc, subscription }: SubscriberModel,
  member: string,
): Code {
  const { queue, maxInFlight, maxDeliveries, deadLetter } = subscription;
  const options: string[] = [];
  if (queue !== undefined) options.push(`queue: ${literal(queue)}`);
  if (maxInFlight !== undefined) options.push(`maxInFlight: ${maxInFlight}`);
  if (maxDeliveries !== undefined) options.push(`maxDeliveries: ${maxDeliveries}`);
  if (deadLetter !== undefined) options.push(`deadLetter: ${literal(deadLetter)}`);
  options.push(`name: ${literal(`${service.desc.typeName}/${desc.name}`)}`);
  options.push(`service: ${literal(service.registryName)}`);

  const topic = topicValue(context, desc.input);
  const take = `(event, context) => ${propertyOf("handler", member)}(event, context)`;
  const object = { open: "{", close: "}", indent: 2, trailingComma: true };
  const head = ["  server.subscribe(", topic, `, ${take}, `];
  if (fits([head, "{"], { before: 0, after: 0 })) return [head, expanded(options, object), ");"];
  const inner = { ...object, indent: 4 };
  return [
    "  server.subscribe(\n    ",
    topic,
    `,\n    ${take},\n    `,
    list(options, { ...inner, open: "{ ", close: " }" }, { before: 4, after: 1 }),
    ",\n  );",
  ];
}
