import type { GossipEnvironment, RequestFailure } from "./environment.ts";
import type { Isolation } from "./isolation.ts";
import { maxPulledMembers } from "./limits.ts";
import type { Member } from "./member-entry.ts";
import type { Endpoint } from "./member-update.ts";
import type { Membership } from "./membership.ts";
import type { RecordStore } from "./record-store.ts";
import {
  encodePull,
  encodeState,
  readStreamMessage,
  type StreamMessage,
} from "./stream-message.ts";
import { exchangeMs, type GossipTiming } from "./timing.ts";

/** How long an exchange or a pull may take, in milliseconds. */
const requestMs = 3_000;
/** How many exchanges for a difference there may be in the time between two regular ones. */
const comparesPerExchange = 20;
/** Maximum number of pulls at a time. */
const maxPulls = 8;
/** Time between two attempts to reach anyone while no other member is known or heard. */
const aloneMs = 1_000;

interface Want {
  version: number;
  from: Endpoint;
}

/**
 * Exchanges the whole state with random members, redials dead members and seeds so that partitions
 * heal, and pulls the records of members that have newer ones.
 */
export class AntiEntropy {
  readonly #env: GossipEnvironment;
  readonly #timing: GossipTiming;
  readonly #isolation: Isolation;
  readonly #membership: Membership;
  readonly #records: RecordStore;
  readonly #onState: (message: StreamMessage) => void;
  readonly #after: () => void;
  readonly #wants = new Map<string, Want>();
  readonly #pulled = new Set<string>();
  readonly #peers = new Set<string>();
  #seeds: readonly Endpoint[] = [];
  /** Short after a join or a healed partition, when gossip may have missed much. */
  #exchangeGapMs: number;
  #exchangeAt: number;
  #compareAt = 0;
  #redialAt: number;

  /**
   * @param onState receives the state of another member. @param after is called after each
   * response was used.
   */
  constructor(parts: {
    readonly env: GossipEnvironment;
    readonly timing: GossipTiming;
    readonly isolation: Isolation;
    readonly membership: Membership;
    readonly records: RecordStore;
    readonly onState: (message: StreamMessage) => void;
    readonly after: () => void;
  }) {
    this.#env = parts.env;
    this.#timing = parts.timing;
    this.#isolation = parts.isolation;
    this.#membership = parts.membership;
    this.#records = parts.records;
    this.#onState = parts.onState;
    this.#after = parts.after;
    const now = this.#env.now();
    this.#exchangeGapMs = this.#timing.firstExchangeMs;
    this.#exchangeAt = now + this.#exchangeGapMs * (0.5 + this.#env.random());
    this.#redialAt = now + (0.5 + this.#env.random() / 2) * this.#timing.redialMs;
  }

  /** The addresses that are redialled while no live member has them. */
  set seeds(seeds: readonly Endpoint[]) {
    this.#seeds = seeds;
  }

  /** Whether no record is being pulled. */
  get isIdle(): boolean {
    return this.#wants.size === 0;
  }

  dueAt(): number {
    return Math.min(this.#exchangeAt, this.#redialAt);
  }

  advance(now: number): void {
    const { live } = this.#membership;
    // Alone, the others are tried more often.
    const isAlone = live.size === 0 || this.#isolation.isIsolated;
    if (isAlone) this.#redialAt = Math.min(this.#redialAt, now + aloneMs);
    if (now >= this.#redialAt) {
      const waitMs = isAlone ? aloneMs : this.#timing.redialMs;
      this.#redialAt = now + waitMs * (0.9 + 0.2 * this.#env.random());
      this.#redial();
    }
    if (now >= this.#exchangeAt) {
      const mostMs = exchangeMs(this.#timing, this.#membership.size);
      this.#exchangeGapMs = Math.min(mostMs, 2 * this.#exchangeGapMs);
      this.#exchangeAt = now + this.#exchangeGapMs * (0.9 + 0.2 * this.#env.random());
      for (const member of live.pick(1)) this.exchange(member);
    }
  }

  /** Exchanges the state with whoever listens there; `done` gets the reason if that failed. */
  exchange(to: Endpoint, done: (failure: RequestFailure | undefined) => unknown = () => {}): void {
    const state = encodeState(this.#membership.updates());
    this.#env.request(to, state, requestMs, (response, failure) => {
      const message = response && read(response);
      const isOther =
        message?.kind === "state" && message.updates[0]?.id !== this.#membership.self.id;
      if (isOther) this.#onState(message);
      done(isOther ? undefined : (failure ?? "ended"));
      this.#after();
    });
  }

  /** Exchanges the state with a member that knows something else, if that was not done lately. */
  compare(member: Endpoint): void {
    const now = this.#env.now();
    if (now < this.#compareAt) return;
    this.#compareAt = now + exchangeMs(this.#timing, this.#membership.size) / comparesPerExchange;
    this.exchange(member);
  }

  /** Notes that a member has newer records, which `from` has as well. */
  want(id: string, version: number, from: Endpoint): void {
    if (!this.#membership.isLive(id) || version <= this.#records.versionOf(id)) return;
    const want = this.#wants.get(id);
    if (want === undefined) this.#wants.set(id, { version, from });
    else if (version > want.version) {
      want.version = version;
      if (!this.#pulled.has(id)) want.from = from;
    }
  }

  /** Begins the pulls that are wanted. */
  pull(): void {
    if (this.#wants.size === 0) return;
    const groups = new Map<string, { readonly from: Endpoint; readonly ids: string[] }>();
    for (const [id, { from }] of this.#wants) {
      const peer = `${from.host} ${from.port}`;
      if (this.#pulled.has(id) || this.#peers.has(peer)) continue;
      const group = groups.get(peer) ?? { from, ids: [] };
      if (group.ids.length < maxPulledMembers) group.ids.push(id);
      groups.set(peer, group);
    }
    for (const [peer, { from, ids }] of groups) {
      if (this.#peers.size >= maxPulls) return;
      this.#pullFrom(peer, from, ids);
    }
  }

  #pullFrom(peer: string, from: Endpoint, ids: readonly string[]): void {
    this.#peers.add(peer);
    for (const id of ids) this.#pulled.add(id);
    const wanted = ids.map((id) => ({ id, have: this.#records.versionOf(id) }));
    this.#env.request(from, encodePull(wanted), requestMs, (response) => {
      this.#peers.delete(peer);
      for (const id of ids) this.#pulled.delete(id);
      const message = response && read(response);
      const sets = message?.kind === "records" ? message.sets : [];
      for (const set of sets) {
        // Only what was asked for, of members that are still there.
        if (!ids.includes(set.id) || !this.#membership.isLive(set.id)) continue;
        const verdict = this.#records.apply(set);
        if (verdict === "applied") this.#membership.queue.add(set.id);
        else if (verdict === "incomplete") this.#records.drop(set.id);
        else if (verdict === "refused") this.#membership.counters.overflow++;
      }
      for (const id of ids) this.#settle(id, from, sets.length > 0);
      this.#after();
    });
  }

  /** Asks the owner for what another member did not have, and then leaves it to later gossip. */
  #settle(id: string, from: Endpoint, progressed: boolean): void {
    const want = this.#wants.get(id);
    const owner = this.#membership.get(id);
    if (want === undefined) return;
    const isDone = this.#records.versionOf(id) >= want.version;
    if (isDone || owner === undefined || !this.#membership.isLive(id)) {
      this.#wants.delete(id);
    } else if (!progressed) {
      if (from.host === owner.host && from.port === owner.port) this.#wants.delete(id);
      else want.from = { host: owner.host, port: owner.port };
    }
  }

  #redial(): void {
    const { isIsolated } = this.#isolation;
    const silent: Member[] = isIsolated ? [...this.#membership.live] : [];
    for (const member of this.#membership.gone()) if (member.state === "dead") silent.push(member);
    const chosen = silent[Math.floor(this.#env.random() * silent.length)];
    const hurry = (failure: RequestFailure | undefined) => failure === undefined && this.#hurry();
    if (chosen !== undefined) this.exchange(chosen, hurry);
    const missing = this.#seeds.filter((seed) => !this.#isKnown(seed));
    const seed = missing[Math.floor(this.#env.random() * missing.length)];
    if (seed !== undefined) this.exchange(seed, hurry);
  }

  /** Exchanges sooner again, because a partition has healed. */
  #hurry(): void {
    const { firstExchangeMs } = this.#timing;
    this.#exchangeGapMs = firstExchangeMs / 2;
    this.#exchangeAt = Math.min(this.#exchangeAt, this.#env.now() + firstExchangeMs);
  }

  #isKnown({ host, port }: Endpoint): boolean {
    const { self, live } = this.#membership;
    if (self.host === host && self.port === port) return true;
    for (const member of live) if (member.host === host && member.port === port) return true;
    return false;
  }
}

/** Parses a message; undefined for malformed bytes. */
function read(bytes: Uint8Array): StreamMessage | undefined {
  try {
    return readStreamMessage(bytes);
  } catch {
    return undefined;
  }
}
