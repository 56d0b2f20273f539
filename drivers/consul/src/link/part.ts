import { LinkedPart, type OptionKind } from "@micro-es/runtime/driver";
import { ConsulLink } from "./link.ts";
import type { ConsulOptions } from "./options.ts";

/** The connection of a part: a shared one, or options for one of its own. */
export type ConsulPartOptions = ConsulOptions & {
  /** A connection shared with other parts; its creator closes it. */
  readonly link?: ConsulLink;
};

/** The prefix of a part's keys. Consul's keys begin without a slash. */
export const prefixKind: OptionKind = {
  words: 'names of visible ASCII with "/" between them, for example "micro/config"',
  accepts: (value) =>
    typeof value === "string" &&
    /^[!-~]{1,255}$/.test(value) &&
    value.split("/").every((name) => !/^\.{0,2}$/.test(name)),
};

/** The base of all parts on Consul. */
export abstract class ConsulPart extends LinkedPart<ConsulLink> {
  /** @param what the part's name in a message, such as `sync`. */
  constructor({ link, ...options }: ConsulPartOptions, what: string) {
    super(link, () => new ConsulLink(options), what);
  }
}
