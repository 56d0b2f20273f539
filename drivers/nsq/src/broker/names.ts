import { createHash } from "node:crypto";

/** The longest name of a topic or a channel. */
const maxNameLength = 64;

/** Names what is too long for nsqd by its hash. */
function nameOf(name: string): string {
  if (name.length <= maxNameLength) return name;
  return `micro-${createHash("sha1").update(name).digest("hex")}`;
}

/** The topic of nsqd that a topic's events are on. */
export function nsqTopic(prefix: string, topic: string): string {
  return nameOf(`${prefix}${topic}`);
}

/** The channel of a queue group. */
export function groupChannel(queue: string): string {
  return nameOf(queue);
}

/** The channel of one subscription, which ends with its last connection. */
export function loneChannel(id: string): string {
  return `${id}#ephemeral`;
}
