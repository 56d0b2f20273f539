import { LinkedPart } from "@micro-es/runtime/driver";
import { NatsLink } from "./link.ts";
import type { NatsOptions } from "./options.ts";

/** The connection of a driver: a shared one, or options for one of its own. */
export type NatsDriverOptions = NatsOptions & {
  /** A connection shared with other drivers; its creator closes it. */
  readonly link?: NatsLink;
};

/** The base of all drivers on NATS. */
export abstract class NatsDriver extends LinkedPart<NatsLink> {
  /** @param what the driver's name in a message, such as `broker`. */
  constructor(options: NatsDriverOptions, what: string) {
    super(options.link, () => new NatsLink(options), what);
  }
}
