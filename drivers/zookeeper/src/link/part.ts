import { LinkedPart, type OptionKind } from "@micro-es/runtime/driver";
import type { Acl } from "../wire/operations.ts";
import { ZooKeeperLink } from "./link.ts";
import type { ZooKeeperOptions } from "./options.ts";

/** The connection of a part: a shared one, or options for one of its own. */
export type ZooKeeperPartOptions = ZooKeeperOptions & {
  /** A connection shared with other parts; its creator closes it. */
  readonly link?: ZooKeeperLink;
};

/** The path of a part's znodes. */
export const rootKind: OptionKind = {
  words: 'a path of visible ASCII without a "/" at its end, for example "/micro/sync"',
  accepts: (value) =>
    typeof value === "string" &&
    /^(?:\/[!-.0-~]+)+$/.test(value) &&
    value.length <= 255 &&
    value.split("/").every((name) => !/^\.{1,2}$/.test(name)),
};

const allRights = 31;

/** The base of all parts on ZooKeeper. */
export abstract class ZooKeeperPart extends LinkedPart<ZooKeeperLink> {
  /** @param what the part's name in a message, such as `sync`. */
  constructor({ link, ...options }: ZooKeeperPartOptions, what: string) {
    super(link, () => new ZooKeeperLink(options), what);
  }

  /** The rights to znodes that this part creates: the user's, or everyone's without one. */
  protected get acl(): readonly Acl[] {
    const isOwned = this.link.options.user !== undefined;
    const who = isOwned ? { scheme: "auth", id: "" } : { scheme: "world", id: "anyone" };
    return [{ permissions: allRights, ...who }];
  }
}
