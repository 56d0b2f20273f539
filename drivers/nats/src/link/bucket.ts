import { setTimeout as sleep } from "node:timers/promises";
import {
  DiscardPolicy,
  type MsgHdrs,
  headers as makeHeaders,
  nanos,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
} from "nats";
import { isNobodyThere, isNotFound, natsFailure } from "./failure.ts";
import type { NatsLink } from "./link.ts";
import { checkBucketName } from "./token.ts";

/** How a new bucket is created. An existing one stays as it is. */
export interface BucketOptions {
  readonly storage?: "file" | "memory";
  /** Replicas in a cluster. Default 1. */
  readonly replicas?: number;
  /** Entries are removed this long after they were written, in milliseconds. Default: never. */
  readonly maxAgeMs?: number;
}

/** An entry of a bucket, or the marker of a deleted one. */
export interface BucketEntry {
  readonly key: string;
  readonly value: Uint8Array;
  readonly revision: number;
  readonly headers: MsgHdrs | undefined;
  readonly deleted: boolean;
  /** On the server's clock, in milliseconds since 1970. */
  readonly writtenAt: number;
}

/** Options of a write. */
export interface BucketPut {
  /** Writes only if this is the key's last revision, 0 for none. */
  readonly ifRevision?: number;
  readonly headers?: Iterable<readonly [string, string]>;
}

/**
 * How long a write waits for a stream that does not listen, and the retry interval, in
 * milliseconds.
 */
const patienceMs = 2_000;
const retryMs = 20;

const operationHeader = "KV-Operation";

/**
 * A NATS key-value bucket: the underlying stream, in the layout that NATS' own tools use, so that
 * `nats kv get` shows our entries. Reads go to the stream's leader. Callers validate keys.
 */
export class NatsBucket {
  readonly name: string;
  readonly stream: string;
  readonly link: NatsLink;
  readonly #options: BucketOptions;
  #ready: Promise<void> | undefined;

  constructor(link: NatsLink, name: string, options: BucketOptions = {}) {
    checkBucketName(name);
    this.link = link;
    this.name = name;
    this.stream = `KV_${name}`;
    this.#options = options;
  }

  subject(key: string): string {
    return `$KV.${this.name}.${key}`;
  }

  keyOf(subject: string): string {
    return subject.slice(this.name.length + 5);
  }

  /** Creates the bucket if it does not exist. */
  ready(): Promise<void> {
    this.#ready ??= this.#make().catch((error) => {
      this.#ready = undefined;
      throw natsFailure(error, `open the NATS bucket ${this.name}`);
    });
    return this.#ready;
  }

  /** The last entry of a key, which may be a deletion marker. */
  async get(key: string): Promise<BucketEntry | undefined> {
    return this.#run("read", key, async () => {
      const manager = await this.link.manager();
      try {
        const found = await this.link.response(
          manager.streams.getMessage(this.stream, { last_by_subj: this.subject(key) }),
        );
        return {
          key,
          value: found.data,
          revision: found.seq,
          headers: found.header,
          deleted: isDeleted(found.header),
          writtenAt: found.time.getTime(),
        };
      } catch (error) {
        if (isNotFound(error)) return undefined;
        throw error;
      }
    });
  }

  /**
   * Writes an entry and returns its revision. @throws the library's error, for
   * {@link isWrongSequence}.
   */
  async put(key: string, value: Uint8Array, put: BucketPut = {}): Promise<number> {
    return this.#publish(key, value, put, makeHeaders());
  }

  /** Replaces an entry with a deletion marker, and returns the marker's revision. */
  async delete(key: string, put: BucketPut = {}): Promise<number> {
    const headers = makeHeaders();
    headers.set(operationHeader, "DEL");
    return this.#publish(key, new Uint8Array(), put, headers);
  }

  async #publish(
    key: string,
    value: Uint8Array,
    { ifRevision, headers: more = [] }: BucketPut,
    headers: MsgHdrs,
  ): Promise<number> {
    await this.ready();
    for (const [name, text] of more) headers.append(name, text);
    await this.link.live(`write ${this.name}/${key} in NATS`);
    const jetstream = await this.link.jetstream();
    const giveUpAt = performance.now() + Math.min(this.link.timeoutMs, patienceMs);
    for (;;) {
      try {
        const written = jetstream.publish(this.subject(key), value, {
          headers,
          timeout: this.link.timeoutMs,
          ...(ifRevision === undefined ? {} : { expect: { lastSubjectSequence: ifRevision } }),
        });
        return (await this.link.response(written)).seq;
      } catch (error) {
        if (!isNobodyThere(error) || performance.now() > giveUpAt) throw error;
        // A stream created a moment ago does not listen yet, and one on a server that was wiped is
        // gone.
        this.#ready = undefined;
        await sleep(retryMs);
        await this.ready();
      }
    }
  }

  async #run<T>(action: string, key: string, work: () => Promise<T>): Promise<T> {
    await this.ready();
    const what = `${action} ${this.name}/${key} in NATS`;
    try {
      await this.link.live(what);
      return await work();
    } catch (error) {
      throw natsFailure(error, what);
    }
  }

  async #make(): Promise<void> {
    const manager = await this.link.manager();
    try {
      await this.link.response(manager.streams.info(this.stream));
      return;
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
    const { storage = "file", replicas = 1, maxAgeMs = 0 } = this.#options;
    const config: Partial<StreamConfig> & { name: string } = {
      name: this.stream,
      subjects: [`$KV.${this.name}.>`],
      storage: storage === "file" ? StorageType.File : StorageType.Memory,
      num_replicas: replicas,
      max_msgs_per_subject: 1,
      max_age: nanos(maxAgeMs),
      duplicate_window: nanos(Math.min(maxAgeMs || 120_000, 120_000)),
      retention: RetentionPolicy.Limits,
      discard: DiscardPolicy.New,
      allow_rollup_hdrs: true,
      allow_direct: true,
      deny_delete: true,
      max_msgs: -1,
      max_bytes: -1,
      max_msg_size: -1,
      max_consumers: -1,
    };
    try {
      await this.link.response(manager.streams.add(config));
    } catch (error) {
      // Another process created it meanwhile, perhaps with other options.
      await manager.streams.info(this.stream).catch(() => {
        throw error;
      });
    }
  }
}

/** Whether a message of a bucket is a deletion marker. */
export function isDeleted(headers: MsgHdrs | undefined): boolean {
  const operation = headers?.get(operationHeader);
  return operation === "DEL" || operation === "PURGE";
}
