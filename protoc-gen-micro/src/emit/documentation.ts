import type { DescMessage, DescMethod, DescService } from "@bufbuild/protobuf";
import type { MethodModel, SubscriberModel } from "../model/declarations.ts";
import { inWords } from "../rules/duration.ts";
import type { MethodPolicy } from "../rules/method-policy.ts";
import { sourceLocation } from "../rules/source-info.ts";

/** The documentation of a service: its comment and its location in the schema. */
export function serviceDoc(service: DescService): string {
  return documentation(commentOf(service), [
    `@generated from ${service.toString()}`,
    ...deprecation(isDeprecated(service)),
  ]);
}

/**
 * The documentation of an rpc: its comment, its resolved policy in words, and its location in the
 * schema.
 */
export function rpcDoc(rpc: MethodModel | SubscriberModel): string {
  const words = rpc.kind === "method" ? policyInWords(rpc.policy) : subscriptionInWords(rpc);
  return documentation(
    [...commentOf(rpc.desc), words],
    [
      `@generated from ${rpc.desc.toString()}`,
      ...deprecation(rpc.desc.deprecated || isDeprecated(rpc.desc.parent)),
    ],
  );
}

/**
 * The documentation of a topic: the comment of its event and the event's location in the schema.
 */
export function topicDoc(message: DescMessage): string {
  return documentation(commentOf(message), [
    `@generated from ${message.toString()}`,
    ...deprecation(message.deprecated || message.file.deprecated),
  ]);
}

/** A sentence of the generator about something that belongs to a service or message. */
export function sentence(text: string, of: DescService | DescMessage): string {
  return documentation([text], deprecation(of.deprecated || of.file.deprecated));
}

function documentation(paragraphs: readonly string[], tags: readonly string[]): string {
  return [...paragraphs, tags.join("\n")].filter((part) => part !== "").join("\n\n");
}

function deprecation(deprecated: boolean): string[] {
  return deprecated ? ["@deprecated"] : [];
}

function isDeprecated(service: DescService): boolean {
  return service.deprecated || service.file.deprecated;
}

/** The comments before and after an element, without the space that comments begin with. */
function commentOf(element: DescService | DescMethod | DescMessage): string[] {
  const location = sourceLocation(element);
  return [location?.leadingComments, location?.trailingComments]
    .filter((comment) => comment !== undefined)
    .map((comment) =>
      comment
        .replace(/^ /gm, "")
        .replace(/[ \t]+$/gm, "")
        .trimEnd(),
    )
    .filter((comment) => comment !== "");
}

function policyInWords(policy: MethodPolicy): string {
  const { timeoutMs, retry, auth, idempotency } = policy;
  const parts: string[] = [];
  if (timeoutMs !== undefined) parts.push(`timeout ${inWords(timeoutMs)}`);
  if (retry !== undefined) {
    parts.push(`up to ${retry.attempts} attempts on ${retry.on.join(", ")}`);
  }
  if (idempotency === "idempotent") parts.push("idempotent");
  if (idempotency === "no_side_effects") parts.push("no side effects");
  if (auth?.public === true) parts.push("public");
  else if (auth?.scopes !== undefined) {
    const scopes = auth.scopes.length === 1 ? "scope" : "scopes";
    parts.push(`requires the ${scopes} ${auth.scopes.join(", ")}`);
  } else if (auth !== undefined) parts.push("requires an account");
  const words = parts.join("; ");
  return words === "" ? "" : `${words[0]!.toUpperCase()}${words.slice(1)}.`;
}

function subscriptionInWords({ topicName, subscription }: SubscriberModel): string {
  const { queue, maxInFlight, maxDeliveries, deadLetter } = subscription;
  const parts = [`Receives the events of ${topicName}`];
  if (queue === undefined) parts.push("every instance receives each event");
  else parts.push(`one instance in the queue group ${queue} receives each event`);
  if (maxInFlight !== undefined) parts.push(`at most ${maxInFlight} at once`);
  if (maxDeliveries !== undefined) parts.push(`at most ${maxDeliveries} deliveries of an event`);
  if (deadLetter !== undefined) parts.push(`events that keep failing go to ${deadLetter}`);
  return `${parts.join("; ")}.`;
}
