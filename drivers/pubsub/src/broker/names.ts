import { createHash, randomUUID } from "node:crypto";
import type { OptionKind } from "@micro-es/runtime/driver";

/*
 * Names in a project begin with the prefix of the fleet. It has neither `.` nor `~`, and topics and
 * queues have no `~`, so that names of different things never meet.
 */

/** The longest id of a topic or a subscription. */
const longestId = 255;

export const prefixKind: OptionKind = {
  words:
    'a letter and up to 63 of A-Z, a-z, 0-9, "_" and "-", and not "goog" first, such as "shop"',
  accepts: (value) =>
    typeof value === "string" && /^(?!goog)[A-Za-z][A-Za-z0-9_-]{0,63}$/i.test(value),
};

/** The full names of what a fleet has in a project. */
export class Names {
  readonly #prefix: string;
  readonly #project: () => string;

  /** @param project is called when a name is needed. */
  constructor(prefix: string, project: () => string) {
    this.#prefix = prefix;
    this.#project = project;
  }

  get project(): string {
    return `projects/${this.#project()}`;
  }

  topic(topic: string): string {
    return `${this.project}/topics/${fitting(`${this.#prefix}.${topic}`, `${this.#prefix}~`)}`;
  }

  /** The subscription of a queue group to a topic. */
  group(queue: string, topic: string): string {
    return this.#subscription(`${this.#prefix}.${queue}~${topic}`);
  }

  /** A subscription of one subscriber, with a name of its own. */
  lone(): string {
    return this.#subscription(`${this.#prefix}~${randomUUID()}`);
  }

  /** The subscription that keeps the dead letters of a topic. */
  deadLetters(topic: string): string {
    return this.#subscription(`${this.#prefix}~dead~${topic}`, `${this.#prefix}~dead~~`);
  }

  /** The topic of a subscription to dead letters; `""` if its name has a hash instead. */
  deadLetterTopic(subscription: string): string | undefined {
    const first = this.#subscription(`${this.#prefix}~dead~`);
    if (!subscription.startsWith(first)) return undefined;
    const rest = subscription.slice(first.length);
    return rest.startsWith("~") ? "" : rest;
  }

  #subscription(id: string, hashPrefix = `${this.#prefix}~`): string {
    return `${this.project}/subscriptions/${fitting(id, hashPrefix)}`;
  }
}

function fitting(id: string, hashPrefix: string): string {
  if (id.length <= longestId) return id;
  return `${hashPrefix}${createHash("sha256").update(id).digest("hex").slice(0, 40)}`;
}
