import type { GossipEnvironment } from "./environment.ts";
import { GossipQueue } from "./gossip-queue.ts";
import type { LocalHealth } from "./health.ts";
import { maxFormerMembers, maxMembers } from "./limits.ts";
import { LiveMembers } from "./live-members.ts";
import type { Member } from "./member-entry.ts";
import type { Endpoint, MemberUpdate } from "./member-update.ts";
import type { RecordStore } from "./record-store.ts";
import { Suspicion } from "./suspicion.ts";
import type { GossipTiming } from "./timing.ts";

/** Counters of the membership. */
export interface MembershipCounters {
  /** Times that this member refuted its suspicion or death. */
  refuted: number;
  /** Members declared dead by this one. */
  declaredDead: number;
  /** Updates dropped because there are too many members. */
  overflow: number;
}

/**
 * The table of members and the rules by which updates change it: a higher incarnation wins; of
 * equal ones, left wins over dead, dead over suspect and suspect over alive. Only a member itself
 * raises its incarnation.
 */
export class Membership {
  readonly self: Member;
  /** The members to gossip about. */
  readonly queue: GossipQueue = new GossipQueue();
  readonly live: LiveMembers;
  /** Whether the silence of members on other machines counts for nothing now. */
  isHolding = false;
  readonly counters: MembershipCounters = { refuted: 0, declaredDead: 0, overflow: 0 };
  readonly #env: GossipEnvironment;
  readonly #timing: GossipTiming;
  readonly #health: LocalHealth;
  readonly #records: RecordStore;
  readonly #members = new Map<string, Member>();
  readonly #suspects = new Set<Member>();
  /** Dead members and those that left, by the time of it. */
  readonly #gone = new Set<Member>();
  readonly #former = new Set<string>();
  #changes = 0;
  #news = 0;

  constructor(
    id: string,
    endpoint: Endpoint,
    parts: {
      readonly env: GossipEnvironment;
      readonly timing: GossipTiming;
      readonly health: LocalHealth;
      readonly records: RecordStore;
    },
  ) {
    this.#env = parts.env;
    this.#timing = parts.timing;
    this.#health = parts.health;
    this.#records = parts.records;
    this.live = new LiveMembers(hashOf(id), () => this.#env.random());
    const { host, port } = endpoint;
    const since = this.#env.now();
    const rest = { hash: hashOf(id), incarnation: 0, since, suspicion: undefined, index: -1 };
    this.self = { id, host, port, state: "alive", ...rest };
    this.#members.set(id, this.self);
  }

  /** Grows with each change of what {@link ViewDigest} covers. */
  get changes(): number {
    return this.#changes;
  }

  /** Grows with each suspicion, refutation, death and farewell. */
  get news(): number {
    return this.#news;
  }

  /** The number of live members, this one included. */
  get size(): number {
    return this.live.size + 1;
  }

  get(id: string): Member | undefined {
    return this.#members.get(id);
  }

  /** Whether a former member was forgotten, so that its datagrams are not used. */
  isFormer(id: string): boolean {
    return this.#former.has(id);
  }

  isLive(id: string): boolean {
    const state = this.#members.get(id)?.state;
    return state === "alive" || state === "suspect";
  }

  /** Counts live members on other machines, up to `most`. */
  countOthers(most: number): number {
    let others = 0;
    for (const member of this.live) {
      if (this.#isElsewhere(member)) others++;
      if (others >= most) break;
    }
    return others;
  }

  gone(): Iterable<Member> {
    return this.#gone;
  }

  /** What this member says about another, or itself. */
  updateOf(member: Member): MemberUpdate {
    const { id, host, port, state, incarnation, suspicion } = member;
    const by = suspicion?.latest ?? id;
    return { id, host, port, state, incarnation, version: this.#records.versionOf(id), by };
  }

  /** All that is known, this member first. */
  updates(): readonly MemberUpdate[] {
    return [...this.#members.values()].map((member) => this.updateOf(member));
  }

  /** Applies what another member said. */
  apply(update: MemberUpdate): void {
    if (update.id === this.self.id) {
      this.#applyToSelf(update);
      return;
    }
    const member = this.#members.get(update.id);
    if (member === undefined) this.#meet(update);
    else if (member.state !== "left") this.#change(member, update);
  }

  /** Suspects a member that did not respond. */
  suspect(member: Member): void {
    if (this.#isHeld(member)) return;
    this.apply({ ...this.updateOf(member), state: "suspect", by: this.self.id });
  }

  /** Tells the others that this member leaves. */
  leave(): void {
    this.self.state = "left";
    this.queue.add(this.self.id);
  }

  /** Ends the suspicions whose time has passed, and forgets members that are long gone. */
  sweep(now: number): void {
    for (const member of this.#suspects) {
      if ((member.suspicion?.endsAt ?? 0) > now || this.#isHeld(member)) continue;
      this.counters.declaredDead++;
      this.#bury(member, "dead");
    }
    for (const member of this.#gone) {
      const { rememberDeadMs, rememberLeftMs } = this.#timing;
      const forMs = member.state === "left" ? rememberLeftMs : rememberDeadMs;
      if (now - member.since > forMs) this.#forget(member);
    }
  }

  /** The suspects that are to be told now that they are. */
  *suspectsToRemind(now: number): Generator<Member> {
    for (const member of this.#suspects) {
      if (member.suspicion === undefined || member.suspicion.remindAt > now) continue;
      member.suspicion.reminded();
      yield member;
    }
  }

  /** The earliest end or reminder of a suspicion. */
  dueAt(): number {
    let dueAt = Number.POSITIVE_INFINITY;
    for (const member of this.#suspects) {
      const { suspicion } = member;
      if (suspicion === undefined) continue;
      const endsAt = this.#isHeld(member) ? Number.POSITIVE_INFINITY : suspicion.endsAt;
      dueAt = Math.min(dueAt, endsAt, suspicion.remindAt);
    }
    return dueAt;
  }

  /** Does not count time in which this process was stalled. */
  extendSuspicions(ms: number): void {
    for (const { suspicion } of this.#suspects) suspicion?.extend(ms);
  }

  #isElsewhere({ host }: Member): boolean {
    return host !== this.self.host;
  }

  #isHeld(member: Member): boolean {
    return this.isHolding && this.#isElsewhere(member);
  }

  #applyToSelf(update: MemberUpdate): void {
    const { self } = this;
    if (update.state === "alive" || self.state === "left") return;
    if (update.incarnation < self.incarnation) return;
    this.#changes++;
    this.#news++;
    self.incarnation = Math.min(0xffff_ffff, update.incarnation + 1);
    this.counters.refuted++;
    this.#health.add(1);
    this.queue.add(self.id);
  }

  #meet(update: MemberUpdate): void {
    if (update.state === "dead" || update.state === "left" || this.isFormer(update.id)) return;
    if (this.#members.size >= maxMembers) {
      const [oldest] = this.#gone;
      if (oldest === undefined) {
        this.counters.overflow++;
        return;
      }
      this.#forget(oldest);
    }
    const { id, host, port, incarnation } = update;
    const since = this.#env.now();
    const rest = { hash: hashOf(id), since, suspicion: undefined, index: -1 };
    const member: Member = { id, host, port, incarnation, state: "alive", ...rest };
    this.#members.set(id, member);
    this.#revive(member);
    if (update.state === "suspect") this.#change(member, update);
  }

  #change(member: Member, update: MemberUpdate): void {
    const newer = update.incarnation > member.incarnation;
    if (update.incarnation < member.incarnation) return;
    const isGone = member.state === "dead";
    switch (update.state) {
      case "alive":
        if (!newer) return;
        this.#update(member, update);
        if (member.suspicion !== undefined) this.#acquit(member);
        if (isGone) this.#revive(member);
        break;
      case "suspect":
        if (isGone && !newer) return;
        this.#update(member, update);
        if (isGone) this.#revive(member);
        if (member.suspicion === undefined) this.#accuse(member, update.by);
        else if (!member.suspicion.confirm(update.by)) return;
        break;
      default:
        if (isGone && update.state === "dead") return;
        this.#update(member, update);
        this.#bury(member, update.state);
    }
    this.queue.add(member.id);
  }

  #update(member: Member, { incarnation, host, port }: MemberUpdate): void {
    if (incarnation === member.incarnation) return;
    this.#changes++;
    member.incarnation = incarnation;
    member.host = host;
    member.port = port;
  }

  #accuse(member: Member, by: string): void {
    const now = this.#env.now();
    member.state = "suspect";
    member.since = now;
    member.suspicion = new Suspicion(this.#timing, this.size, now, by);
    this.#suspects.add(member);
    this.#news++;
  }

  #acquit(member: Member): void {
    this.#news++;
    member.state = "alive";
    member.suspicion = undefined;
    this.#suspects.delete(member);
  }

  #revive(member: Member): void {
    member.state = "alive";
    member.since = this.#env.now();
    this.#changes++;
    this.#gone.delete(member);
    this.live.add(member);
    this.queue.add(member.id);
    this.#env.memberChanged(member, true);
  }

  #bury(member: Member, state: "dead" | "left"): void {
    const wasLive = member.state !== "dead";
    member.suspicion = undefined;
    this.#suspects.delete(member);
    member.state = state;
    member.since = this.#env.now();
    this.#gone.delete(member);
    this.#gone.add(member);
    this.queue.add(member.id);
    if (!wasLive) return;
    this.#news++;
    this.#changes++;
    this.live.delete(member);
    this.#records.drop(member.id);
    this.#env.memberChanged(member, false);
  }

  #forget(member: Member): void {
    this.#members.delete(member.id);
    this.#gone.delete(member);
    this.queue.delete(member.id);
    this.#former.add(member.id);
    if (this.#former.size <= maxFormerMembers) return;
    const [oldest = ""] = this.#former;
    this.#former.delete(oldest);
  }
}

function hashOf(id: string): number {
  return Number.parseInt(id.slice(8), 16) ^ Number.parseInt(id.slice(0, 8), 16);
}
