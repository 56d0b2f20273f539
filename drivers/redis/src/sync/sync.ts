import type { Buffer } from "node:buffer";
import { asMicroError, type Sync } from "@micro-es/runtime";
import {
  checkOptions,
  type LeaseRecord,
  type LeaseRecordList,
  type LeaseRecords,
  type LeaseRecordWatcher,
  LeaseSync,
  ObservedLeases,
} from "@micro-es/runtime/driver";
import type { Reply } from "../link/connection.ts";
import { redisPartKinds } from "../link/options.ts";
import { prefixKind, RedisPart, type RedisPartOptions } from "../link/part.ts";
import { changeLease, readLeases } from "./scripts.ts";

/** Where a {@link redisSync} keeps its leases, and how it connects. */
export type RedisSyncOptions = RedisPartOptions;

/** A lease that cannot be read is read again after this time, in milliseconds. */
const readAgainMs = 100;

/**
 * Locks and leaders in Redis 7 and later, or Valkey. Every change is a script that compares the
 * revision of a lease. A token is the server's time in microseconds at which a lease was taken, and
 * larger than every one before.
 *
 * A lease ends when it has not changed for its ttl on the clock of the process that wants it, so no
 * two clocks are compared.
 *
 * After the promotion of a replica that lacks the last changes, a lock may have two holders until
 * the first one notices, with tokens that grow: protect what it guards by the token.
 *
 * @throws MicroError `invalid_argument` for invalid options.
 * @example
 * ```ts
 * import { redisSync } from "@micro-es/redis";
 *
 * await using sync = redisSync({ servers: "127.0.0.1:6379" });
 * await using lock = await sync.lock("report");
 * ```
 */
export function redisSync(options: RedisSyncOptions = {}): Sync {
  checkOptions("redisSync", options, { ...redisPartKinds, prefix: prefixKind });
  const records = new RedisLeaseRecords(options);
  return new LeaseSync(new ObservedLeases(records), {
    reach: "backend",
    fairness: "process",
    durability: records.link.durability,
  });
}

/** The leases in one hash. */
class RedisLeaseRecords extends RedisPart implements LeaseRecords {
  readonly name = "redis";
  readonly #leases: string;
  readonly #revision: string;

  constructor(options: RedisSyncOptions) {
    super(options, "sync");
    this.#leases = `${this.prefix}:{sync}:leases`;
    this.#revision = `${this.prefix}:{sync}:revision`;
  }

  async get(key: string): Promise<LeaseRecord | undefined> {
    const found = await this.link.send("HGET", [this.#leases, key], `read the lease ${key}`);
    return found === null ? undefined : recordOf(found as Buffer);
  }

  async put(key: string, value: Uint8Array, ifRevision: bigint): Promise<bigint | undefined> {
    const revision = await this.#change(key, ifRevision, ["put", value], `write the lease ${key}`);
    return revision === 0n ? undefined : revision;
  }

  async delete(key: string, ifRevision: bigint): Promise<boolean> {
    return (await this.#change(key, ifRevision, ["delete"], `release ${key}`)) !== 0n;
  }

  watch(key: string, watcher: LeaseRecordWatcher): () => void {
    let stopped = false;
    /** The revision that the watcher was told last, and how many messages arrived. */
    let last = 0n;
    let messages = 0;
    const changed = (record: LeaseRecord | undefined) => {
      if (record !== undefined && record.revision <= last) return;
      last = record?.revision ?? last;
      watcher.changed(record?.value === undefined ? undefined : record);
    };
    let failingSince: number | undefined;
    // A server that is back soon, as after a promotion, does not end the wait for a lock.
    const failed = (reason: unknown) => {
      failingSince ??= performance.now();
      const isLasting = performance.now() - failingSince >= this.link.timeoutMs;
      if (isLasting || asMicroError(reason).code !== "unavailable") watcher.failed();
    };
    const read = async (): Promise<void> => {
      const before = messages;
      try {
        const record = await this.get(key);
        failingSince = undefined;
        // A message that arrived meanwhile tells what came after this, or after that message.
        if (!stopped && messages === before) changed(record);
      } catch (error) {
        if (stopped) return;
        failed(error);
        await this.link.pause(readAgainMs);
        if (!stopped && !this.link.closed && messages === before) await read();
      }
    };
    const stop = this.link.feed.follow(this.#channelOf(key), {
      following: () => void read(),
      message: (payload) => {
        messages++;
        changed(recordOf(payload));
      },
      failed,
    });
    return () => {
      stopped = true;
      stop();
    };
  }

  async list(): Promise<LeaseRecordList> {
    const found = await this.link.run(readLeases, [this.#leases], [], "list leases");
    const [now, ...fields] = found as readonly Buffer[];
    const records = [];
    for (let index = 0; index + 1 < fields.length; index += 2) {
      const record = recordOf(fields[index + 1] as Buffer);
      if (record !== undefined) records.push({ ...record, key: String(fields[index]) });
    }
    return { records, now: Number(String(now)) };
  }

  async #change(
    key: string,
    ifRevision: bigint,
    change: readonly (string | Uint8Array)[],
    what: string,
  ): Promise<bigint> {
    const keys = [this.#leases, this.#revision];
    const args = [key, String(ifRevision), this.#channelOf(key), ...change];
    const revision: Reply = await this.link.run(changeLease, keys, args, what);
    return BigInt(String(revision));
  }

  #channelOf(key: string): string {
    return `${this.prefix}:{sync}:lease:${key}`;
  }
}

/**
 * The lease in a stored value, or the revision at which it was deleted; undefined if another
 * program wrote it.
 */
function recordOf(stored: Buffer): LeaseRecord | undefined {
  const parts = /^(\d{1,20})(?: (\d{1,20}) )?/.exec(stored.toString("latin1", 0, 48));
  if (parts === null) return undefined;
  const [head, revision, writtenAt] = parts;
  if (writtenAt === undefined) return { revision: BigInt(revision as string), value: undefined };
  const value = stored.subarray(head.length);
  return { revision: BigInt(revision as string), value, writtenAt: Number(writtenAt) };
}
