import { maxMemberRecordBytes, maxRecordBytes, maxRecordsPerMember } from "./limits.ts";

export interface StoredRecord {
  readonly bytes: Uint8Array;
  /** The version of its set at which it last changed. */
  readonly changedAt: number;
}

/** The records of one member. Only the member writes them, so a higher version replaces a lower. */
export interface RecordSet {
  readonly version: number;
  readonly records: ReadonlyMap<string, StoredRecord>;
  /** The size of keys and records. */
  readonly bytes: number;
}

/** The records of a member; those that the receiver has already come without their bytes. */
export interface PulledSet {
  readonly id: string;
  readonly version: number;
  readonly records: readonly PulledRecord[];
}

export interface PulledRecord {
  readonly key: string;
  /** The version at which it last changed. */
  readonly changedAt: number;
  readonly bytes: Uint8Array | undefined;
}

/** What becomes of a pulled set. */
export type SetVerdict = "applied" | "stale" | "incomplete" | "refused";

/**
 * The records of all members, by the member that owns them. Records are bytes here; a removal is
 * the absence from a higher version, so no tombstones are needed.
 */
export class RecordStore {
  readonly #sets = new Map<string, RecordSet>();
  /** The members that have a record under a key. */
  readonly #owners = new Map<string, Set<string>>();
  #changes = new Set<string>();
  #bytes = 0;
  #versions = 0;

  get bytes(): number {
    return this.#bytes;
  }

  /** Grows with each change. */
  get changes(): number {
    return this.#versions;
  }

  /** The keys that changed since the last call. */
  takeChanges(): ReadonlySet<string> {
    const changes = this.#changes;
    if (changes.size > 0) this.#changes = new Set();
    return changes;
  }

  /** The records under a key, with their owners. */
  *under(key: string): Generator<readonly [owner: string, record: StoredRecord]> {
    for (const owner of this.#owners.get(key) ?? []) {
      const record = this.#sets.get(owner)?.records.get(key);
      if (record !== undefined) yield [owner, record];
    }
  }

  get(owner: string): RecordSet | undefined {
    return this.#sets.get(owner);
  }

  versionOf(owner: string): number {
    return this.#sets.get(owner)?.version ?? 0;
  }

  /** Adds, replaces or, without bytes, removes an own record. Returns false if it does not fit. */
  write(owner: string, key: string, bytes: Uint8Array | undefined): boolean {
    const known = this.#sets.get(owner);
    const records = new Map(known?.records);
    const version = (known?.version ?? 0) + 1;
    if (bytes === undefined) records.delete(key);
    else records.set(key, { bytes, changedAt: version });
    const set = { version, records, bytes: sizeOf(records) };
    if (bytes !== undefined && !isWithinLimits(set)) return false;
    this.#replace(owner, set, [key]);
    return true;
  }

  apply(pulled: PulledSet): SetVerdict {
    const known = this.#sets.get(pulled.id);
    if (known !== undefined && known.version >= pulled.version) return "stale";
    const records = new Map<string, StoredRecord>();
    const changed: string[] = [];
    for (const { key, changedAt, bytes } of pulled.records) {
      const had = known?.records.get(key);
      if (bytes !== undefined) {
        // A copy, so that the record does not keep the whole message in memory.
        records.set(key, { bytes: Uint8Array.from(bytes), changedAt });
        changed.push(key);
      } else if (had?.changedAt === changedAt) records.set(key, had);
      else return "incomplete";
    }
    const set = { version: pulled.version, records, bytes: sizeOf(records) };
    const total = this.#bytes - (known?.bytes ?? 0) + set.bytes;
    if (!isWithinLimits(set) || total > maxRecordBytes) return "refused";
    for (const key of known?.records.keys() ?? []) if (!records.has(key)) changed.push(key);
    this.#replace(pulled.id, set, changed);
    return "applied";
  }

  /** Forgets the records of a member. */
  drop(owner: string): void {
    const known = this.#sets.get(owner);
    if (known === undefined) return;
    this.#replace(owner, { version: 0, records: new Map(), bytes: 0 }, known.records.keys());
    this.#sets.delete(owner);
  }

  #replace(owner: string, set: RecordSet, changed: Iterable<string>): void {
    this.#bytes += set.bytes - (this.#sets.get(owner)?.bytes ?? 0);
    this.#sets.set(owner, set);
    this.#versions++;
    for (const key of changed) {
      this.#changes.add(key);
      const owners = this.#owners.get(key) ?? new Set();
      if (set.records.has(key)) this.#owners.set(key, owners.add(owner));
      else if (owners.delete(owner) && owners.size === 0) this.#owners.delete(key);
    }
  }
}

function isWithinLimits(set: RecordSet): boolean {
  return set.records.size <= maxRecordsPerMember && set.bytes <= maxMemberRecordBytes;
}

function sizeOf(records: ReadonlyMap<string, StoredRecord>): number {
  let size = 0;
  for (const [key, { bytes }] of records) size += Buffer.byteLength(key) + bytes.length;
  return size;
}
