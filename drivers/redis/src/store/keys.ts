/** The keys of a store in Redis. */
export class StoreKeys {
  /** What the keys of records begin with. */
  readonly records: string;
  /** All keys of records, in a sorted set. */
  readonly all: string;
  /** The keys of records that expire, by when. */
  readonly expiring: string;
  readonly version: string;
  /** The largest token of each lock that changed a record. */
  readonly tokens: string;
  /** Where changes are published. */
  readonly channel: string;

  constructor(prefix: string) {
    const root = `${prefix}:{store}`;
    this.records = `${root}:record:`;
    this.all = `${root}:keys`;
    this.expiring = `${root}:expiring`;
    this.version = `${root}:version`;
    this.tokens = `${root}:tokens`;
    this.channel = `${root}:changes`;
  }
}
