import {
  AckPolicy,
  type ConsumerConfig,
  createInbox,
  DeliverPolicy,
  type Msg,
  nanos,
  ReplayPolicy,
  type Subscription,
} from "nats";
import { type BucketEntry, isDeleted, type NatsBucket } from "./bucket.ts";
import { natsFailure } from "./failure.ts";

/** Receives the events of a bucket watch. */
export interface BucketFollower {
  /**
   * All present entries, deletion markers included, and the server's time of the snapshot. It comes
   * first, and again whenever changes may have been missed.
   */
  snapshot(entries: readonly BucketEntry[], serverTime: number): void;
  /** One change, in the order of revisions. */
  change(entry: BucketEntry): void;
  /** The watch cannot be set up; it is retried. */
  failed(error: unknown): void;
}

const heartbeatMs = 2_000;
/** A watch that receives nothing for this long is set up again, in milliseconds. */
const silenceMs = 3 * heartbeatMs;
const retryMs = 250;
const longestRetryMs = 2_000;

/** Selects which part of the entries is read. */
export interface BucketWatchOptions {
  /** Entries come without their values. */
  readonly headersOnly?: boolean;
}

/**
 * Follows the entries of a bucket without gaps: a snapshot, then each change. The server numbers
 * its deliveries; after a missing number, a silence, or a reconnection the watch starts over with a
 * snapshot.
 */
export class BucketWatch {
  readonly #bucket: NatsBucket;
  readonly #filter: string;
  readonly #headersOnly: boolean;
  readonly #follower: BucketFollower;
  readonly #forgetReconnect: () => void;
  readonly #watchdog: NodeJS.Timeout;
  #subscription: Subscription | undefined;
  /** Counts starts, so that messages from an earlier one are ignored. */
  #round = 0;
  #heardAt = 0;
  #failures = 0;
  #retry: NodeJS.Timeout | undefined;
  #closed = false;

  /** @param filter the keys to watch: a key, or one with wildcards. */
  constructor(
    bucket: NatsBucket,
    filter: string,
    follower: BucketFollower,
    { headersOnly = false }: BucketWatchOptions = {},
  ) {
    this.#headersOnly = headersOnly;
    this.#bucket = bucket;
    this.#filter = filter;
    this.#follower = follower;
    this.#forgetReconnect = bucket.link.onReconnect(() => this.#restart());
    this.#watchdog = setInterval(() => this.#look(), heartbeatMs);
    this.#watchdog.unref();
    void this.#begin();
  }

  close(): void {
    this.#closed = true;
    this.#round++;
    clearInterval(this.#watchdog);
    clearTimeout(this.#retry);
    this.#forgetReconnect();
    this.#subscription?.unsubscribe();
  }

  #look(): void {
    const quiet = performance.now() - this.#heardAt > silenceMs;
    if (this.#subscription !== undefined && quiet && this.#bucket.link.connected) this.#restart();
  }

  #restart(): void {
    if (this.#closed) return;
    clearTimeout(this.#retry);
    void this.#begin();
  }

  async #begin(): Promise<void> {
    const round = ++this.#round;
    this.#subscription?.unsubscribe();
    this.#subscription = undefined;
    try {
      await this.#subscribe(round);
      if (round === this.#round) this.#failures = 0;
    } catch (error) {
      if (round !== this.#round) return;
      this.#follower.failed(natsFailure(error, `watch the NATS bucket ${this.#bucket.name}`));
      if (round !== this.#round) return;
      const delay = Math.min(longestRetryMs, retryMs * 2 ** this.#failures++);
      this.#retry = setTimeout(() => void this.#begin(), delay * (0.5 + Math.random()));
      this.#retry.unref();
    }
  }

  async #subscribe(round: number): Promise<void> {
    await this.#bucket.ready();
    const connection = await this.#bucket.link.live(`watch the NATS bucket ${this.#bucket.name}`);
    const manager = await this.#bucket.link.manager();
    if (round !== this.#round) return;
    const inbox = createInbox();
    const reading = new Reading(this.#bucket);
    const subscription = connection.subscribe(inbox, {
      callback: (error, message) => {
        if (round !== this.#round) return;
        this.#heardAt = performance.now();
        if (error !== null || !reading.take(message, this.#follower)) this.#restart();
      },
    });
    this.#subscription = subscription;
    this.#heardAt = performance.now();
    const info = await this.#bucket.link.response(
      manager.consumers.add(
        this.#bucket.stream,
        consumer(inbox, this.#bucket.subject(this.#filter), this.#headersOnly),
      ),
    );
    if (round !== this.#round) {
      subscription.unsubscribe();
      return;
    }
    reading.begin(info.num_pending + info.delivered.consumer_seq, info.created, this.#follower);
  }
}

function consumer(inbox: string, filter: string, headersOnly: boolean): Partial<ConsumerConfig> {
  return {
    headers_only: headersOnly,
    deliver_subject: inbox,
    filter_subject: filter,
    deliver_policy: DeliverPolicy.LastPerSubject,
    ack_policy: AckPolicy.None,
    replay_policy: ReplayPolicy.Instant,
    idle_heartbeat: nanos(heartbeatMs),
    flow_control: true,
    inactive_threshold: nanos(30_000),
    mem_storage: true,
    num_replicas: 1,
    max_deliver: 1,
  };
}

/** The deliveries of one consumer: first the existing entries, for the snapshot, then changes. */
class Reading {
  readonly #bucket: NatsBucket;
  #sequence = 0;
  /** Entries until the snapshot is complete, or undefined once it was delivered. */
  #entries: BucketEntry[] | undefined = [];
  #expected = Number.POSITIVE_INFINITY;
  #serverTime = 0;

  constructor(bucket: NatsBucket) {
    this.#bucket = bucket;
  }

  /** The server has reported how many entries there are; some of them may already have arrived. */
  begin(expected: number, created: string, follower: BucketFollower): void {
    this.#expected = expected;
    this.#serverTime = Date.parse(created);
    this.#tellSnapshot(follower);
  }

  /** Takes a message; false if one before it is missing. */
  take(message: Msg, follower: BucketFollower): boolean {
    const { headers } = message;
    if (message.data.length === 0 && headers !== undefined && headers.code === 100) {
      // Flow control waits for a response, and a heartbeat reports the position that should have
      // been reached.
      if (message.reply !== undefined && message.reply !== "") message.respond();
      const last = Number(headers.get("Nats-Last-Consumer") || this.#sequence);
      return last <= this.#sequence;
    }
    const parts = (message.reply ?? "").split(".");
    // $JS.ACK.<stream>.<consumer>.<deliveries>.<stream sequence>.<consumer
    // sequence>.<time>.<pending>, with domain and account before since 2.9.
    const tail = parts.slice(parts.length >= 11 ? 6 : 4);
    const [, revision, sequence, time] = tail.map(Number);
    if (sequence !== this.#sequence + 1 || revision === undefined || time === undefined) {
      return false;
    }
    this.#sequence = sequence;
    const entry: BucketEntry = {
      key: this.#bucket.keyOf(message.subject),
      value: message.data,
      revision,
      headers,
      deleted: isDeleted(headers),
      writtenAt: time / 1_000_000,
    };
    if (this.#entries === undefined) follower.change(entry);
    else {
      this.#entries.push(entry);
      this.#tellSnapshot(follower);
    }
    return true;
  }

  #tellSnapshot(follower: BucketFollower): void {
    const entries = this.#entries;
    if (entries === undefined || this.#sequence < this.#expected) return;
    this.#entries = undefined;
    // An entry that changed during reading may arrive twice; the last one counts.
    const last = new Map(entries.map((entry) => [entry.key, entry]));
    follower.snapshot([...last.values()], this.#serverTime);
  }
}
