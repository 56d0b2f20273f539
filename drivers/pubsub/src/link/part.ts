import type { PubSubLink } from "./link.ts";
import type { PubSubOptions } from "./options.ts";

/** The connection of a part: a shared one, or options for one of its own. */
export type PubSubPartOptions = PubSubOptions & {
  /** A connection shared with other parts; its creator closes it. */
  readonly link?: PubSubLink;
};
