import { AntiEntropy } from "./anti-entropy.ts";
import { type DatagramPart, readDatagram, type Target } from "./datagram.ts";
import type { GossipEnvironment, RequestFailure } from "./environment.ts";
import { FailureDetector } from "./failure-detector.ts";
import { LocalHealth } from "./health.ts";
import { Isolation } from "./isolation.ts";
import type { Member } from "./member-entry.ts";
import type { Endpoint, MemberUpdate } from "./member-update.ts";
import { Membership } from "./membership.ts";
import { Outbox } from "./outbox.ts";
import { RecordStore } from "./record-store.ts";
import {
  encodeRecords,
  encodeState,
  encodeStreamPing,
  readStreamMessage,
  type StreamMessage,
} from "./stream-message.ts";
import type { GossipTiming } from "./timing.ts";
import { ViewDigest } from "./view-digest.ts";

/** How soon urgent news is gossiped, and what else happened by then with it, in milliseconds. */
const urgentMs = 20;

/**
 * A member of a gossip cluster: SWIM's failure detection and dissemination with Lifeguard's
 * changes, and anti-entropy. It has no sockets, timers or clock of its own; the environment passes
 * in what arrives, and calls {@link advance}.
 */
export class GossipMember {
  readonly records: RecordStore = new RecordStore();
  readonly membership: Membership;
  readonly health: LocalHealth;
  readonly #env: GossipEnvironment;
  readonly #timing: GossipTiming;
  readonly #outbox: Outbox;
  readonly #view: ViewDigest;
  readonly #isolation: Isolation;
  readonly #detector: FailureDetector;
  readonly #antiEntropy: AntiEntropy;
  /** Called when another member asks for the own records. */
  onPulled: () => void = () => {};
  #gossipedAt = Number.NEGATIVE_INFINITY;
  #urgent = false;
  /** What the membership's count of news was when it last made gossip urgent. */
  #newsSeen = 0;
  /** Whether the datagram being read says that this member is not alive. */
  #contradicted = false;
  /** When `advance` was due; infinity while it runs or before it was announced. */
  #dueAt = Number.POSITIVE_INFINITY;

  /** @param id 16 hexadecimal digits, new for each start. @param endpoint where others reach it. */
  constructor(id: string, endpoint: Endpoint, env: GossipEnvironment, timing: GossipTiming) {
    const { records } = this;
    const health = new LocalHealth(timing.lifeguard);
    const membership = new Membership(id, endpoint, { env, timing, health, records });
    const outbox = new Outbox(env, timing, membership);
    const isolation = new Isolation(env, timing, membership);
    this.#isolation = isolation;
    const reached = {
      ...env,
      request: (...[to, message, timeoutMs, done]: Parameters<GossipEnvironment["request"]>) =>
        env.request(to, message, timeoutMs, (response, failure) => {
          if (response !== undefined || failure === "refused") isolation.heard(to.host);
          done(response, failure);
        }),
    };
    this.health = health;
    this.membership = membership;
    this.#env = env;
    this.#timing = timing;
    this.#outbox = outbox;
    this.#view = new ViewDigest(membership, records);
    const view = this.#view;
    this.#detector = new FailureDetector({
      env: reached,
      timing,
      health,
      isolation,
      membership,
      outbox,
      view,
    });
    this.#antiEntropy = new AntiEntropy({
      env: reached,
      timing,
      isolation,
      membership,
      records,
      onState: (message) => this.#merge(message),
      after: () => this.#settle(),
    });
    this.#settle();
  }

  get id(): string {
    return this.membership.self.id;
  }

  /** Whether it has the records of all members that it knows to have some. */
  get isComplete(): boolean {
    return this.#antiEntropy.isIdle;
  }

  /** The addresses through which the cluster is found, and found again. */
  set seeds(seeds: readonly Endpoint[]) {
    this.#antiEntropy.seeds = seeds;
  }

  /** Exchanges the state with whoever listens there; `done` gets the reason if that failed. */
  join(to: Endpoint, done: (failure: RequestFailure | undefined) => void): void {
    this.#antiEntropy.exchange(to, done);
    this.#settle();
  }

  /** Adds, replaces or removes an own record. Returns false if the records become too large. */
  write(key: string, bytes: Uint8Array | undefined): boolean {
    if (!this.records.write(this.id, key, bytes)) return false;
    this.membership.queue.add(this.id);
    this.#urgent = true;
    this.#settle();
    return true;
  }

  /** Tells others at once that this member leaves; call it again for the sake of lost datagrams. */
  leave(): void {
    this.membership.leave();
    const { live, self } = this.membership;
    for (const member of live.pick(8)) this.#outbox.send(member, () => {}, self);
  }

  /** Takes a datagram. @param from the sender, with the address that it came from. */
  receive(from: Target, payload: Uint8Array): void {
    this.#noticeStall(this.#env.now());
    if (this.membership.isFormer(from.id)) return;
    this.#isolation.heard(from.host);
    this.#contradicted = false;
    for (const part of readDatagram(payload)) this.#take(part, from);
    // The sender may have missed the refutation, which gossip repeats only a few times.
    if (this.#contradicted) this.#outbox.send(from, () => {}, this.membership.self);
    this.#settle();
  }

  /** Takes a request from a stream, and returns the response; undefined if there is none. */
  serve(request: Uint8Array): Uint8Array | undefined {
    this.#noticeStall(this.#env.now());
    const message = readStreamMessage(request);
    const response = this.#respond(message);
    this.#settle();
    return response;
  }

  /** Does what is due. */
  advance(): void {
    const now = this.#env.now();
    this.#noticeStall(now);
    this.#isolation.check(now);
    this.membership.sweep(now);
    for (const suspect of this.membership.suspectsToRemind(now)) {
      this.#outbox.send(suspect, () => {}, suspect);
    }
    this.#detector.advance(now);
    this.#antiEntropy.advance(now);
    if (now >= this.#gossipAt()) this.#gossip(now);
    this.#settle();
  }

  #take(part: DatagramPart, from: Target): void {
    switch (part.kind) {
      case "update":
        this.#hear(part.update, from);
        break;
      case "ping":
        this.#compareView(from, part.view);
        this.#detector.onPing(from, part.probe);
        break;
      case "ack":
        this.#compareView(from, part.view);
        this.#detector.onAck(part.probe);
        break;
      case "nack":
        this.#detector.onNack(part.probe);
        break;
      case "probe":
        this.#detector.onProbe(from, part.probe, part.target);
    }
  }

  /** Notices that an update was lost: gossip has ended, and views still differ. */
  #compareView(from: Target, view: number): void {
    const { queue } = this.membership;
    if (queue.size > 0 || view === this.#view.value || !this.membership.isLive(from.id)) return;
    this.#antiEntropy.compare(from);
  }

  #respond(message: StreamMessage): Uint8Array | undefined {
    switch (message.kind) {
      case "ping":
        return message.id === this.id ? encodeStreamPing("ack", this.id) : undefined;
      case "state":
        this.#merge(message);
        return encodeState(this.membership.updates());
      case "pull":
        if (message.wanted.some(({ id }) => id === this.id)) this.onPulled();
        return encodeRecords(message.wanted, (id) => this.records.get(id));
      default:
        return undefined;
    }
  }

  /**
   * Uses the state of another member. Its dead are only suspects here: after a partition they may
   * be alive on this side, and can refute it.
   */
  #merge(message: StreamMessage): void {
    if (message.kind !== "state") return;
    const [sender] = message.updates;
    if (sender === undefined || sender.id === this.id) return;
    this.#isolation.heard(sender.host);
    for (const update of message.updates) {
      const isDead = update.state === "dead";
      this.#hear(isDead ? { ...update, state: "suspect", by: sender.id } : update, sender);
    }
  }

  #hear(update: MemberUpdate, from: Target): void {
    const { self } = this.membership;
    this.membership.apply(update);
    if (update.id === self.id) this.#contradicted ||= update.state !== self.state;
    else this.#antiEntropy.want(update.id, update.version, from);
  }

  #gossip(now: number): void {
    this.#urgent = false;
    this.#gossipedAt = now;
    const recentlyDead: Member[] = [];
    for (const member of this.membership.gone()) {
      if (member.state === "dead" && now - member.since < this.#timing.tellDeadMs) {
        recentlyDead.push(member);
      }
    }
    for (const to of this.membership.live.pick(this.#timing.fanout, undefined, recentlyDead)) {
      this.#outbox.send(to, () => {});
    }
  }

  #gossipAt(): number {
    if (this.membership.queue.size === 0) return Number.POSITIVE_INFINITY;
    return this.#gossipedAt + (this.#urgent ? urgentMs : this.#timing.gossipMs);
  }

  /** After each event: begins pulls, reports changes, and asks to be woken. */
  #settle(): void {
    this.#antiEntropy.pull();
    if (this.#newsSeen !== this.membership.news) {
      this.#newsSeen = this.membership.news;
      this.#urgent = true;
    }
    const changes = this.records.takeChanges();
    if (changes.size > 0) this.#env.recordsChanged(changes);
    this.#dueAt = Math.max(
      this.#env.now(),
      Math.min(
        this.#detector.dueAt(),
        this.#antiEntropy.dueAt(),
        this.membership.dueAt(),
        this.#gossipAt(),
      ),
    );
    this.#env.wakeAt(this.#dueAt);
  }

  /**
   * A late call means that this process was stalled. Acknowledgements and refutations that came
   * meanwhile are still unread, so no member is judged by the time that passed.
   */
  #noticeStall(now: number): void {
    const lateMs = now - this.#dueAt;
    if (!this.#timing.lifeguard || lateMs <= this.#timing.timeoutMs / 2) return;
    this.#dueAt = now;
    this.health.add(1 + Math.floor(lateMs / this.#timing.periodMs));
    this.#detector.restart(now);
    this.#isolation.restart(now);
    this.membership.extendSuspicions(lateMs + this.#timing.timeoutMs);
  }
}
