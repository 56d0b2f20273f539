import { LinkedPart } from "@micro-es/runtime/driver";
import { PostgresLink } from "./link.ts";
import type { PostgresOptions } from "./options.ts";
import { type PartTables, Tables } from "./tables.ts";

/** The connection of a part: a shared one, or options for one of its own. */
export type PostgresPartOptions = PostgresOptions & {
  /** A connection shared with other parts; its creator closes it. */
  readonly link?: PostgresLink;
};

/** The base of all parts on PostgreSQL: holds the connection, and knows its tables. */
export abstract class PostgresPart extends LinkedPart<PostgresLink> {
  protected readonly tables: Tables;

  constructor({ link, ...options }: PostgresPartOptions, tables: PartTables) {
    super(link, () => new PostgresLink(options), tables.part);
    this.tables = new Tables(this.link, tables);
  }
}

/** How often a part polls for what notifications may have missed, in milliseconds. */
const pollMs = 2_000;
/** As {@link pollMs}, where no notifications arrive. */
const pooledPollMs = 250;

/** How long to wait until the next poll, with jitter, in milliseconds. */
export function untilPollMs(link: PostgresLink): number {
  return (link.isPooled ? pooledPollMs : pollMs) * (0.8 + 0.4 * Math.random());
}
