import type { MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { asMicroError, type MicroError } from "@micro-es/runtime";
import { type Backoff, backoffMs, pauseUntilAborted } from "@micro-es/runtime/driver";
import { Event_EventType } from "../gen/etcd/kv_pb.ts";
import type { WatchRequestSchema, WatchResponseSchema } from "../gen/etcd/rpc_pb.ts";
import { type EtcdEntry, entryOf, type KeyRange, readRange, type Snapshot } from "./entries.ts";
import { etcdFailure, isTokenRefused } from "./failure.ts";
import type { EtcdLink, Suspect } from "./link.ts";
import { range, watch as watchMethod } from "./methods.ts";

type Request = MessageInitShape<typeof WatchRequestSchema>;
type Response = MessageShape<typeof WatchResponseSchema>;

/** Receives the events of a watch. */
export interface WatchFollower {
  /**
   * All present entries. It comes first, and again whenever changes may have been missed: when
   * their history was compacted, or when the store went back to an earlier state, for example
   * because it was wiped.
   */
  snapshot(snapshot: Snapshot): void;
  /** One change, in the order of revisions. */
  change(entry: EtcdEntry): void;
  /** The watch cannot be established now; it is retried. */
  failed(reason: MicroError): void;
  /**
   * Reports a silence of this length, in milliseconds, during which leases may have ended because
   * they could not be renewed. Infinity if the store is another one, or went back to an earlier
   * state. It comes before the changes made meanwhile.
   */
  resumed?(gapMs: number): void;
}

/** A watch in progress. */
export interface EtcdWatch {
  close(): void;
}

/** How often the stream is probed, in milliseconds. */
const heartbeatMs = 2_000;
/** A stream that is silent for this long, and so for two heartbeats, is examined. */
const silenceMs = 1.5 * heartbeatMs;
/** How long a member whose stream is silent may take to respond to a request, in milliseconds. */
const examineMs = 3_000;
/** How long a stream without watches stays open, in milliseconds. */
const lingerMs = 10_000;
const retry: Backoff = { firstMs: 150, factor: 2, mostMs: 2_000, jitter: 0.5 };

/**
 * All watches of one connection, on one stream. Each is free of gaps: it reads its keys at a
 * revision and follows the changes from the next revision on. A new stream continues where the last
 * one ended.
 */
export class EtcdWatches {
  readonly #link: EtcdLink;
  readonly #watches = new Set<Watch>();
  readonly #ending = new AbortController();
  readonly #forgetReconnect: () => void;
  #stream: WatchStream | undefined;
  #running: Promise<void> | undefined;
  #skipWait: (() => void) | undefined;
  #lingering: NodeJS.Timeout | undefined;

  constructor(link: EtcdLink) {
    this.#link = link;
    // This connection replaces one whose member is stopping: its streams would continue until the
    // member is gone.
    this.#forgetReconnect = link.onReconnect(() => {
      this.#stream?.end();
      this.#skipWait?.();
    });
  }

  /** Follows keys until the result is closed. No event is delivered before this returns. */
  watch(keys: KeyRange, what: string, limit: number, follower: WatchFollower): EtcdWatch {
    const watch = new Watch(this.#link, keys, what, limit, follower, () => this.#create(watch));
    this.#watches.add(watch);
    watch.begin();
    return {
      close: () => {
        watch.close();
        this.#watches.delete(watch);
        this.#stream?.cancel(watch);
        this.#endIfUnused();
      },
    };
  }

  async close(): Promise<void> {
    clearTimeout(this.#lingering);
    this.#forgetReconnect();
    for (const watch of this.#watches) watch.close();
    this.#watches.clear();
    this.#ending.abort();
    this.#stream?.end();
    await this.#running;
  }

  /**
   * Ends the stream once there has been no watch for a while. It ends by a reset, and etcd counts
   * those of a connection.
   */
  #endIfUnused(): void {
    clearTimeout(this.#lingering);
    if (this.#watches.size > 0) return;
    this.#lingering = setTimeout(() => {
      if (this.#watches.size === 0) this.#stream?.end();
    }, lingerMs);
    this.#lingering.unref();
  }

  /** Puts a watch that has a position on the stream. */
  #create(watch: Watch): void {
    this.#stream?.create(watch);
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
      // A watch may have been added since the check for remaining watches.
      if (this.#watches.size > 0 && !this.#ending.signal.aborted) this.#create(watch);
    });
  }

  async #run(): Promise<void> {
    const { signal } = this.#ending;
    for (let failures = 0; this.#watches.size > 0 && !signal.aborted; ) {
      const stream = new WatchStream(this.#link);
      this.#stream = stream;
      const reason = await stream.run(this.#watches);
      this.#stream = undefined;
      for (const watch of this.#watches) watch.streamEnded();
      if (signal.aborted) return;
      failures = stream.wasHeard ? 1 : failures + 1;
      if (reason === undefined) continue;
      for (const watch of this.#watches) watch.failed(reason);
      await this.#wait(backoffMs(retry, failures, Math.random));
    }
  }

  /** Waits, unless the link connects first. */
  async #wait(ms: number): Promise<void> {
    const skipping = new AbortController();
    this.#skipWait = () => skipping.abort();
    await pauseUntilAborted(ms, [skipping.signal, this.#ending.signal]);
    this.#skipWait = undefined;
  }
}

/** The followed keys, independent of the stream. */
class Watch {
  readonly keys: KeyRange;
  readonly #link: EtcdLink;
  readonly #what: string;
  readonly #limit: number;
  readonly #follower: WatchFollower;
  readonly #onPosition: () => void;
  readonly #closing = new AbortController();
  /** The revision from which changes are not known; undefined until there is a snapshot. */
  #position: bigint | undefined;
  #clusterId = 0n;
  #isNewStore = false;
  #reading = false;
  #heardAt = performance.now();
  /** The first fragments of a response that arrived in several. */
  #parts: EtcdEntry[] = [];

  constructor(
    link: EtcdLink,
    keys: KeyRange,
    what: string,
    limit: number,
    follower: WatchFollower,
    onPosition: () => void,
  ) {
    this.#link = link;
    this.keys = keys;
    this.#what = what;
    this.#limit = limit;
    this.#follower = follower;
    this.#onPosition = onPosition;
  }

  get position(): bigint | undefined {
    return this.#position;
  }

  get closed(): boolean {
    return this.#closing.signal.aborted;
  }

  begin(): void {
    if (!this.#reading) void this.#read();
  }

  close(): void {
    this.#closing.abort();
  }

  /** The stream is alive, so this watch has missed nothing. */
  heard(now: number): void {
    this.#heardAt = now;
  }

  /**
   * etcd follows the keys from here on. False if its store is another one, or went back: then
   * everything is read again.
   */
  created(response: Response): boolean {
    const now = performance.now();
    const { revision = 0n, clusterId = 0n } = response.header ?? {};
    const position = this.#position ?? 0n;
    if (clusterId !== this.#clusterId || revision < position - 1n) {
      this.#isNewStore = true;
      this.restart();
      return false;
    }
    const gapMs = now - this.#heardAt;
    this.#heardAt = now;
    this.#follower.resumed?.(gapMs);
    return true;
  }

  changed(response: Response): void {
    for (const { type, kv } of response.events) {
      if (kv !== undefined) this.#parts.push(entryOf(kv, type === Event_EventType.DELETE));
    }
    if (response.fragment) return;
    const entries = this.#parts;
    this.#parts = [];
    for (const entry of entries) {
      if (this.closed) return;
      this.#position = entry.revision + 1n;
      this.#follower.change(entry);
    }
  }

  streamEnded(): void {
    this.#parts = [];
  }

  failed(reason: MicroError): void {
    // An error caused by a response of the stream would recur at the same position.
    const isLink = ["unavailable", "canceled", "deadline_exceeded", "unauthenticated"];
    if (!isLink.includes(reason.code)) this.restart();
    this.#follower.failed(etcdFailure(reason, this.#what));
  }

  /** Forgets the position and reads everything again. */
  restart(): void {
    this.#position = undefined;
    this.begin();
  }

  async #read(): Promise<void> {
    this.#reading = true;
    const { signal } = this.#closing;
    for (let failures = 1; !signal.aborted; failures++) {
      try {
        const options = { signal, limit: this.#limit };
        const snapshot = await readRange(this.#link, this.keys, this.#what, options);
        if (signal.aborted) break;
        const isKnown = this.#clusterId !== 0n;
        const isNew = this.#isNewStore || this.#clusterId !== snapshot.clusterId;
        const gapMs = isNew ? Number.POSITIVE_INFINITY : performance.now() - this.#heardAt;
        if (isKnown) this.#follower.resumed?.(gapMs);
        this.#isNewStore = false;
        this.#clusterId = snapshot.clusterId;
        this.#position = snapshot.revision + 1n;
        this.#heardAt = performance.now();
        this.#reading = false;
        this.#follower.snapshot(snapshot);
        if (!signal.aborted) this.#onPosition();
        return;
      } catch (error) {
        if (signal.aborted) break;
        this.#follower.failed(etcdFailure(error, this.#what));
        await pauseUntilAborted(backoffMs(retry, failures, Math.random), signal);
      }
    }
    this.#reading = false;
  }
}

/** One stream of watches, until it ends. */
class WatchStream {
  /** Whether etcd has sent anything on it. */
  wasHeard = false;
  readonly #link: EtcdLink;
  readonly #ending = new AbortController();
  /** By its id on this stream. */
  readonly #watches = new Map<bigint, Watch>();
  readonly #requests: Request[] = [];
  #lastId = 0n;
  #wake: (() => void) | undefined;
  #heardAt = performance.now();
  #beatAt = performance.now();
  #examining = false;
  #failure: MicroError | undefined;

  constructor(link: EtcdLink) {
    this.#link = link;
  }

  /** Ends the stream; the watches continue on the next one. */
  end(): void {
    this.#ending.abort();
    this.#wake?.();
  }

  create(watch: Watch): void {
    const { position, keys } = watch;
    if (position === undefined || [...this.#watches.values()].includes(watch)) return;
    const watchId = ++this.#lastId;
    this.#watches.set(watchId, watch);
    const value = { ...keys, startRevision: position, watchId, fragment: true };
    this.#send({ requestUnion: { case: "createRequest", value } });
  }

  cancel(watch: Watch): void {
    for (const [watchId, each] of this.#watches) if (each === watch) this.#cancel(watchId);
  }

  /**
   * Runs until the stream ends.
   * @returns the reason for its failure; undefined if {@link end} was called.
   */
  async run(watches: Iterable<Watch>): Promise<MicroError | undefined> {
    for (const watch of watches) this.create(watch);
    const heart = setInterval(() => this.#beat(), heartbeatMs);
    heart.unref();
    let suspect: Suspect | undefined;
    try {
      const { signal } = this.#ending;
      const opened = await this.#link.stream(watchMethod, this.#outgoing(), signal);
      suspect = opened.suspect;
      for await (const response of opened.responses) this.#take(response);
      throw asMicroError(new Error("the member ended the stream"), "unavailable");
    } catch (error) {
      if (this.#failure === undefined && this.#ending.signal.aborted) return undefined;
      const reason = this.#failure ?? asMicroError(error, "unavailable");
      if (isTokenRefused(reason)) this.#link.refuseToken();
      // The connection works, but this member cannot serve watches: it has no leader, or is
      // stopping.
      else if (reason.code === "unavailable") suspect?.(etcdFailure(reason, "watch etcd"));
      return reason;
    } finally {
      clearInterval(heart);
      this.end();
    }
  }

  #take(response: Response): void {
    this.wasHeard = true;
    this.#heardAt = performance.now();
    const watch = this.#watches.get(response.watchId);
    if (watch === undefined) {
      // The response to a heartbeat applies to all of them.
      for (const each of this.#watches.values()) each.heard(this.#heardAt);
      return;
    }
    if (watch.closed) return;
    if (response.canceled) {
      this.#watches.delete(response.watchId);
      this.#canceled(watch, response);
    } else if (response.created) {
      if (!watch.created(response)) this.#cancel(response.watchId);
    } else {
      watch.heard(this.#heardAt);
      watch.changed(response);
    }
  }

  #canceled(watch: Watch, { compactRevision, cancelReason }: Response): void {
    if (compactRevision > 0n) {
      watch.restart();
      return;
    }
    const reason = asMicroError(
      new Error(cancelReason || "etcd cancelled the watch"),
      "unavailable",
    );
    const isToken = /invalid auth token|auth store is old/.test(cancelReason);
    if (isToken) this.#link.refuseToken();
    // On this stream the watch would be refused again: a token belongs to a stream.
    this.#failure = reason;
    this.end();
  }

  #cancel(watchId: bigint): void {
    this.#watches.delete(watchId);
    this.#send({ requestUnion: { case: "cancelRequest", value: { watchId } } });
  }

  #beat(): void {
    const now = performance.now();
    const isLate = now - this.#beatAt > 2 * heartbeatMs;
    this.#beatAt = now;
    // This process was suspended, so it could not receive anything.
    if (isLate) this.#heardAt = now;
    if (this.#watches.size === 0) this.#heardAt = now;
    if (now - this.#heardAt > silenceMs) void this.#examine();
    else this.#send({ requestUnion: { case: "progressRequest", value: {} } });
  }

  /**
   * The stream is silent. If the member is silent too, the link leaves it; if only the stream is,
   * it is reopened: some versions do not respond to progress requests.
   */
  async #examine(): Promise<void> {
    if (this.#examining) return;
    this.#examining = true;
    const request = { key: new Uint8Array([0]), countOnly: true };
    const limit = AbortSignal.timeout(Math.min(examineMs, this.#link.timeoutMs));
    await this.#link.call(range, request, "examine a silent watch", limit).catch(() => {});
    if (this.#ending.signal.aborted) return;
    const code = limit.aborted ? "unavailable" : "deadline_exceeded";
    this.#failure ??= asMicroError(new Error("the watch was silent"), code);
    this.end();
  }

  #send(request: Request): void {
    this.#requests.push(request);
    this.#wake?.();
  }

  async *#outgoing(): AsyncGenerator<Request> {
    const { signal } = this.#ending;
    while (!signal.aborted) {
      const request = this.#requests.shift();
      if (request !== undefined) {
        yield request;
        continue;
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
