import { LinkedPart, type OptionKind } from "@micro-es/runtime/driver";
import { RedisLink } from "./link.ts";
import type { RedisOptions } from "./options.ts";

/** The connection of a part: a shared one, or options for one of its own. */
export type RedisPartOptions = RedisOptions & {
  /** A connection shared with other parts; its creator closes it. */
  readonly link?: RedisLink;
  /** What all keys begin with; a different prefix is a separate fleet. Default `micro`. */
  readonly prefix?: string;
};

/** What keys begin with. Braces decide where a key is in a cluster. */
export const prefixKind: OptionKind = {
  words: 'up to 200 visible characters of ASCII without braces, for example "shop"',
  accepts: (value) => typeof value === "string" && /^[!-z|~]{1,200}$/.test(value),
};

/** The base of all parts on Redis. */
export abstract class RedisPart extends LinkedPart<RedisLink> {
  protected readonly prefix: string;

  /** @param what the part's name in a message, such as `store`. */
  constructor({ link, prefix = "micro", ...options }: RedisPartOptions, what: string) {
    super(link, () => new RedisLink(options), what);
    this.prefix = prefix;
  }
}
