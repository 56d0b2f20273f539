import { closeInOrder, LinkedPart, type OptionKind } from "@micro-es/runtime/driver";
import { EtcdLink } from "./link.ts";
import type { EtcdOptions } from "./options.ts";
import { EtcdWatches } from "./watches.ts";

/** The connection of a part: a shared one, or options for one of its own. */
export type EtcdPartOptions = EtcdOptions & {
  /** A connection shared with other parts; its creator closes it. */
  readonly link?: EtcdLink;
};

/** The prefix of a part's keys. */
export const prefixKind: OptionKind = {
  words: 'visible ASCII without a "/" at its end, for example "/micro/registry"',
  accepts: (value) => typeof value === "string" && /^[!-~]{0,254}[!-.0-~]$/.test(value),
};

/** The base of all parts on etcd: holds the watches as well as the connection. */
export abstract class EtcdPart extends LinkedPart<EtcdLink> {
  protected readonly watches: EtcdWatches;

  /** @param what the part's name in a message, such as `store`. */
  constructor({ link, ...options }: EtcdPartOptions, what: string) {
    super(link, () => new EtcdLink(options), what);
    this.watches = new EtcdWatches(this.link);
  }

  protected override async closeLink(): Promise<void> {
    await closeInOrder(
      () => this.watches.close(),
      () => super.closeLink(),
    );
  }
}
