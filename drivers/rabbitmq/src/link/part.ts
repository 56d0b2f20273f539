import type { RabbitMqLink } from "./link.ts";
import type { RabbitMqOptions } from "./options.ts";

/** The connections of a part: shared ones, or options for its own. */
export type RabbitMqPartOptions = RabbitMqOptions & {
  /** Connections shared with other parts; their creator closes them. */
  readonly link?: RabbitMqLink;
};
