import type { Deadline } from "../../deadline.ts";
import type { Node } from "../registry.ts";
import { type FittedInstance, toListed } from "./instance.ts";
import type { MulticastLink, PacketSource } from "./link.ts";
import {
  encodeAnnouncement,
  encodeAnswer,
  encodeGoodbye,
  encodeProbe,
  type Instance,
  type Question,
} from "./packet.ts";
import type { MdnsCounters } from "./stats.ts";

/** A node that this registry announces. */
export interface LocalRecord {
  readonly node: Node;
  readonly ttlMs: number;
  readonly revision: number;
  readonly instance: Instance;
  readonly announcement: Buffer;
  announcements: number;
  announceAt: Deadline;
  probes: number;
  probeAt: Deadline;
}

const probeCount = 3;
const probeGapMs = 250;
const burstCount = 3;
const burstGapMs = 1_000;
/** The second goodbye, in case the first is lost. */
const goodbyeGapMs = 25;
/** Beyond it the questions are an attack on those that the answers go to. */
const maxAnswersPerSecond = 2_000;

/**
 * Answers for the nodes of this process and announces them: as go-micro does, three times at the start, and
 * then, which go-micro does not, again at every third of their ttl.
 */
export class Announcer {
  readonly #link: MulticastLink;
  readonly #domain: string;
  readonly #counters: MdnsCounters;
  readonly #records = new Map<string, LocalRecord>();
  #answersFrom = 0;
  #answersLeft = maxAnswersPerSecond;

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

  /** The names of the services that have a node here. */
  services(): ReadonlySet<string> {
    return new Set([...this.#records.values()].map(({ node }) => node.service));
  }

  /** Starts to announce; a record of the same node is replaced. Resolves once everybody was told. */
  async add(
    node: Node,
    { instance }: FittedInstance,
    lease: { readonly ttlMs: number; readonly revision: number },
  ): Promise<LocalRecord> {
    const now = performance.now();
    const record: LocalRecord = {
      node,
      ...lease,
      instance,
      announcement: encodeAnnouncement(instance),
      announcements: 0,
      announceAt: now,
      probes: 0,
      probeAt: now,
    };
    this.#records.set(key(node), record);
    await this.#probe(record, now);
    await this.#announce(record, now);
    return record;
  }

  /** Stops without a goodbye. */
  delete(record: LocalRecord): boolean {
    return this.has(record) && this.#records.delete(key(record.node));
  }

  /** Stops, and tells everybody that the node is gone. */
  async remove(record: LocalRecord): Promise<void> {
    if (!this.delete(record)) return;
    const goodbye = encodeGoodbye(record.instance);
    await this.#link.multicast(goodbye);
    await new Promise((resolve) => setTimeout(resolve, goodbyeGapMs));
    await this.#link.multicast(goodbye);
  }

  /** Removes every record. */
  async removeAll(): Promise<void> {
    await Promise.all([...this.#records.values()].map((record) => this.remove(record)));
  }

  /** Announces everything now, as after a loss of the network. */
  announceAll(now: Deadline): void {
    for (const record of this.#records.values()) {
      record.announcements = 0;
      record.announceAt = now;
    }
  }

  /** Sends what is due and returns when the next is. */
  sweep(now: Deadline): Deadline {
    let next = Number.POSITIVE_INFINITY;
    for (const record of this.#records.values()) {
      if (record.probeAt <= now) void this.#probe(record, now);
      if (record.announceAt <= now) void this.#announce(record, now);
      next = Math.min(next, record.probeAt, record.announceAt);
    }
    return next;
  }

  answer(question: Question, id: number, source: PacketSource): void {
    const answerId = question.unicast ? id : 0;
    if (question.type !== "PTR" && question.type !== "ANY" && !isInstanceType(question.type))
      return;
    if (question.name === `_services.${this.#domain}`) {
      if (isInstanceType(question.type)) return;
      for (const service of this.services()) {
        this.#send(toListed(service, this.#domain), question, answerId, source);
      }
      return;
    }
    for (const { instance } of this.#records.values()) {
      const asked =
        question.name === instance.name ||
        (question.name === instance.service && !isInstanceType(question.type));
      if (asked) this.#send(instance, question, answerId, source);
    }
  }

  #send(instance: Instance, question: Question, id: number, source: PacketSource): void {
    const now = performance.now();
    if (now - this.#answersFrom >= 1_000) {
      this.#answersFrom = now;
      this.#answersLeft = maxAnswersPerSecond;
    }
    if (--this.#answersLeft < 0) {
      this.#counters.unanswered++;
      return;
    }
    this.#counters.answers++;
    this.#link.unicast(encodeAnswer(instance, question, id), source.port, source.host);
  }

  async #probe(record: LocalRecord, now: Deadline): Promise<void> {
    record.probes++;
    record.probeAt =
      record.probes < probeCount ? now + Math.random() * probeGapMs : Number.POSITIVE_INFINITY;
    await this.#link.multicast(encodeProbe(record.instance));
  }

  async #announce(record: LocalRecord, now: Deadline): Promise<void> {
    record.announcements++;
    const heartbeatMs = (record.ttlMs / 3) * (0.9 + Math.random() * 0.1);
    const burst = record.announcements < burstCount;
    record.announceAt = now + (burst ? Math.min(burstGapMs, heartbeatMs) : heartbeatMs);
    await this.#link.multicast(record.announcement);
  }
}

function isInstanceType(type: string): boolean {
  return type === "SRV" || type === "TXT" || type === "A" || type === "AAAA";
}

function key(node: Node): string {
  return `${node.service} ${node.id}`;
}
