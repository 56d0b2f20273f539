import type { DescMessage, DescMethod, DescService } from "@bufbuild/protobuf";
import type { MethodModel, SubscriberModel } from "../model/declarations.ts";
import { inWords } from "../rules/duration.ts";
import type { MethodPolicy } from "../rules/method-policy.ts";
import { sourceLocation } from "../rules/source-info.ts";

/** What is said of a service, on its client and on its handler. */
export function serviceDoc(service: DescService): string {
  return documentation(commentOf(service), [
    `@generated from ${service.toString()}`,
    ...deprecation(isDeprecated(service)),
  ]);
}

/** What is said of an rpc: its comment, what was resolved for it in words, and where it comes from. */
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

/** What is said of a topic. */
export function topicDoc(message: DescMessage): string {
  return documentation(commentOf(message), [
    `@generated from ${message.toString()}`,
    ...deprecation(message.deprecated || message.file.deprecated),
  ]);
}

/** A sentence of our own on something that belongs to a service or message. */
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

/** The comments before and behind an element, without the blank that comments begin with. */
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
    parts.push(`needs the ${scopes} ${auth.scopes.join(", ")}`);
  } else if (auth !== undefined) parts.push("needs an account");
  const words = parts.join("; ");
  return words === "" ? "" : `${words[0]!.toUpperCase()}${words.slice(1)}.`;
}

function subscriptionInWords({ topicName, subscription }: SubscriberModel): string {
  const { queue, maxInFlight, maxDeliveries, deadLetter } = subscription;
  const parts = [`Takes the events of ${topicName}`];
  if (queue === undefined) parts.push("every instance gets each");
  else parts.push(`each goes to one instance of the queue group ${queue}`);
  if (maxInFlight !== undefined) parts.push(`at most ${maxInFlight} at once`);
  if (maxDeliveries !== undefined)
    parts.push(`at most ${maxDeliveries} deliveries of one that fails`);
  if (deadLetter !== undefined) parts.push(`those that fail for good go to ${deadLetter}`);
  return `${parts.join("; ")}.`;
}
