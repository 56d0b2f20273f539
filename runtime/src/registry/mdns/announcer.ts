import type { Deadline } from "../../base/deadline.ts";
import type { Node } from "../registry.ts";
import { type FittedInstance, toInstance, toListed } from "./instance.ts";
import type { MulticastLink, PacketSource } from "./link.ts";
import { type LocalLease, LocalRecord } from "./local-record.ts";
import { encodeAnswer, encodeGoodbye, encodeProbe, type Instance } from "./packet.ts";
import type { IncomingQuery, Question } from "./read-packet.ts";
import { SourceBudget } from "./source-budget.ts";
import type { MdnsCounters } from "./stats.ts";

const probeCount = 3;
const probeGapMs = 250;
const burstCount = 3;
const burstGapMs = 1_000;
/** Delay before a second goodbye, in case the first is lost. */
const goodbyeGapMs = 25;
/**
 * Minimum interval between re-announcements of a record that another process contradicts (RFC 6762
 * section 6).
 */
const renewGapMs = 1_000;
/** Beyond it the queries are an attack on the hosts that the replies go to. */
const maxAnswersPerSecond = 2_000;
/**
 * Limits the bytes of replies to one machine. The source of a query may be spoofed, and a reply is
 * larger than its query. 50 processes on one machine that query everything at once stay below the
 * limit.
 */
const answerBudget = { burst: 512 * 1024, perSecond: 128 * 1024 } as const;

/**
 * Replies to queries for the nodes of this process and announces them: three times at the start, as
 * go-micro does, and then, unlike go-micro, again every third of their ttl.
 */
export class Announcer {
  readonly #link: MulticastLink;
  readonly #domain: string;
  readonly #counters: MdnsCounters;
  readonly #records = new Map<string, LocalRecord>();
  #answersFrom = 0;
  #answersLeft = maxAnswersPerSecond;
  readonly #answered = new SourceBudget(answerBudget);

  constructor(link: MulticastLink, domain: string, counters: MdnsCounters) {
    this.#link = link;
    this.#domain = domain;
    this.#counters = counters;
  }

  get size(): number {
    return this.#records.size;
  }

  has(record: LocalRecord): boolean {
    return this.#records.get(key(record.node)) === record;
  }

  find(service: string, id: string): LocalRecord | undefined {
    return this.#records.get(`${service} ${id}`);
  }

  /** The names of the services that have a local node. */
  services(): ReadonlySet<string> {
    return this.#servicesFor(true);
  }

  #servicesFor(isLocal: boolean): ReadonlySet<string> {
    const shown = [...this.#records.values()].filter(({ local }) => isLocal || !local);
    return new Set(shown.map(({ node }) => node.service));
  }

  /**
   * Starts announcing a node, replacing an earlier record of it. Resolves once it has been
   * announced.
   */
  async add(node: Node, { instance }: FittedInstance, lease: LocalLease): Promise<LocalRecord> {
    const record = new LocalRecord(node, instance, lease);
    this.#records.set(key(node), record);
    const now = performance.now();
    await this.#probe(record, now);
    await this.#announce(record, now);
    return record;
  }

  /**
   * Announces a record above the revision under which another process contradicted it, so that it
   * is valid again for everyone who received that. Returns when.
   */
  contradict(record: LocalRecord, revision: number): Deadline {
    record.contradictedBy = Math.max(record.contradictedBy, revision);
    if (record.renewAt === Number.POSITIVE_INFINITY) {
      record.renewAt = Math.max(performance.now(), record.renewedAt + renewGapMs);
    }
    return record.renewAt;
  }

  /** Stops announcing without a goodbye. */
  delete(record: LocalRecord): boolean {
    return this.has(record) && this.#records.delete(key(record.node));
  }

  /** Stops announcing and multicasts that the node is gone. */
  async remove(record: LocalRecord): Promise<void> {
    if (!this.delete(record)) return;
    const goodbye = encodeGoodbye(record.instance);
    await this.#link.multicast(goodbye, record.local);
    await new Promise((resolve) => setTimeout(resolve, goodbyeGapMs));
    await this.#link.multicast(goodbye, record.local);
  }

  /** Removes every record. */
  async removeAll(): Promise<void> {
    await Promise.all([...this.#records.values()].map((record) => this.remove(record)));
  }

  /** Announces everything now, for example after the network was lost. */
  announceAll(now: Deadline): void {
    for (const record of this.#records.values()) {
      record.announcements = 0;
      record.announceAt = now;
    }
  }

  /** Sends the announcements that are due; returns when the next one is due. */
  sweep(now: Deadline): Deadline {
    let next = Number.POSITIVE_INFINITY;
    for (const record of this.#records.values()) {
      if (record.probeAt <= now) void this.#probe(record, now);
      if (record.renewAt <= now) void this.#renew(record, now);
      else if (record.announceAt <= now) void this.#announce(record, now);
      next = Math.min(next, record.probeAt, record.announceAt, record.renewAt);
    }
    return next;
  }

  /**
   * Replies to the source of a query; each instance once, however many questions of the packet ask
   * for it.
   */
  answer({ id, questions, known }: IncomingQuery, source: PacketSource): void {
    const answered = new Set<string>();
    for (const question of questions) {
      const isPointer = question.type === "PTR";
      for (const instance of this.#asked(question, source.local)) {
        if (answered.has(instance.name) || (isPointer && known.has(instance.name))) continue;
        answered.add(instance.name);
        this.#send(instance, question, question.unicast ? id : 0, source);
      }
    }
  }

  /**
   * The instances that a question asks for; other machines are not told about instances that only
   * this machine can reach.
   */
  *#asked({ name, type }: Question, isLocal: boolean): Iterable<Instance> {
    const forInstance = isInstanceType(type);
    if (type !== "PTR" && type !== "ANY" && !forInstance) return;
    if (name === `_services.${this.#domain}`) {
      if (forInstance) return;
      for (const service of this.#servicesFor(isLocal)) yield toListed(service, this.#domain);
      return;
    }
    for (const { instance, local } of this.#records.values()) {
      if (local && !isLocal) continue;
      if (name === instance.name || (name === instance.service && !forInstance)) yield instance;
    }
  }

  #send(instance: Instance, question: Question, id: number, source: PacketSource): void {
    const now = performance.now();
    if (now - this.#answersFrom >= 1_000) {
      this.#answersFrom = now;
      this.#answersLeft = maxAnswersPerSecond;
    }
    if (!this.#answered.has(source.host) || --this.#answersLeft < 0) {
      this.#counters.unanswered++;
      return;
    }
    this.#counters.answers++;
    const answer = encodeAnswer(instance, question, id);
    this.#answered.spend(source.host, answer.length);
    this.#link.unicast(answer, source.port, source.host);
  }

  async #renew(record: LocalRecord, now: Deadline): Promise<void> {
    record.renewAt = Number.POSITIVE_INFINITY;
    record.renewedAt = now;
    const { node, ttlMs } = record;
    const revision = Math.max(record.revision, record.contradictedBy) + 1;
    let instance: Instance;
    try {
      ({ instance } = await toInstance(node, this.#domain, { ttlMs, revision }));
    } catch {
      // The host of its address does not resolve right now; the previous announcement stays valid
      // meanwhile.
      record.renewAt = now + renewGapMs;
      return;
    }
    // The record was removed, or its id was taken over, in the meantime.
    if (!this.has(record)) return;
    record.renew(instance, revision);
    await this.#announce(record, performance.now());
  }

  async #probe(record: LocalRecord, now: Deadline): Promise<void> {
    record.probes++;
    record.probeAt =
      record.probes < probeCount ? now + Math.random() * probeGapMs : Number.POSITIVE_INFINITY;
    await this.#link.multicast(encodeProbe(record.instance), record.local);
  }

  async #announce(record: LocalRecord, now: Deadline): Promise<void> {
    record.announcements++;
    const heartbeatMs = (record.ttlMs / 3) * (0.9 + Math.random() * 0.1);
    const burst = record.announcements < burstCount;
    record.announceAt = now + (burst ? Math.min(burstGapMs, heartbeatMs) : heartbeatMs);
    await this.#link.multicast(record.announcement, record.local);
  }
}

function isInstanceType(type: string): boolean {
  return type === "SRV" || type === "TXT" || type === "A" || type === "AAAA";
}

function key(node: Node): string {
  return `${node.service} ${node.id}`;
}
