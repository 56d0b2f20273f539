import type { MicroError } from "../base/error.ts";
import { maxNodesPerService, type Node, type RegistryEvent } from "../registry/registry.ts";
import { type CandidateOwner, NodeCandidate } from "./candidate.ts";
import type { EjectionPolicy } from "./ejection.ts";
import type { NodeChangeListener, NodeFilter, SelectOptions } from "./selector.ts";
import type { Strategy } from "./strategy.ts";
import { Waiters } from "./waiters.ts";

/** State shared by the nodes of all services. */
export interface ServiceNodesOptions {
  readonly strategy: Strategy;
  readonly filters: readonly NodeFilter[];
  readonly ejection: EjectionPolicy | undefined;
  readonly random: () => number;
  readonly now: () => number;
  readonly onChange: NodeChangeListener;
  readonly onEjection: (node: Node, forMs: number) => void;
}

const noFilters: readonly NodeFilter[] = [];

/** The known nodes of one service, and the selection among them. */
export class ServiceNodes implements CandidateOwner {
  readonly service: string;
  readonly waiters: Waiters = new Waiters();
  /** Whether a call has selected from the service since this was last set to false. */
  used = true;
  readonly #options: ServiceNodesOptions;
  readonly #candidates = new Map<string, NodeCandidate>();
  /** The nodes that pass each array of filters, without ejected ones; recomputed at each change. */
  #views = new WeakMap<readonly NodeFilter[], readonly NodeCandidate[]>();
  /** The view of the last call: nearly every call of a client has the same filters. */
  #lastFilters: readonly NodeFilter[] | undefined;
  #lastView: readonly NodeCandidate[] | undefined;
  readonly #others: NodeCandidate[] = [];
  #selections = 0;
  /** When the next ejected node is readmitted; Infinity if none is ejected. */
  #readmitAt = Number.POSITIVE_INFINITY;
  /** The time of the last report: close enough to now for decaying latencies, and free. */
  #lastReportAt: number;

  constructor(service: string, options: ServiceNodesOptions) {
    this.service = service;
    this.#options = options;
    this.#lastReportAt = options.now();
  }

  get size(): number {
    return this.#candidates.size;
  }

  nodes(): Node[] {
    return Array.from(this.#candidates.values(), (candidate) => candidate.node);
  }

  /**
   * Selects a node for one call and counts the call as in flight; undefined if no node passes the
   * filters.
   */
  select(options: SelectOptions | undefined): NodeCandidate | undefined {
    this.used = true;
    if (this.#readmitAt !== Number.POSITIVE_INFINITY) this.#readmit();
    let candidates = this.#view(options?.filters);
    if (candidates.length === 0) return undefined;
    const exclude = options?.exclude;
    if (exclude !== undefined && exclude.size > 0) candidates = this.#without(candidates, exclude);
    const { strategy, random } = this.#options;
    const candidate = strategy.pick(candidates, random, this.#lastReportAt) as NodeCandidate;
    candidate.lastSelection = ++this.#selections;
    candidate.inFlight++;
    return candidate;
  }

  apply(event: RegistryEvent): void {
    if (event.type === "snapshot") {
      const left = new Set(this.#candidates.keys());
      for (const node of event.nodes) {
        left.delete(node.id);
        this.#put(node);
      }
      for (const id of left) this.#remove(id);
    } else if (event.type === "removed") {
      this.#remove(event.node.id);
    } else {
      this.#put(event.node);
    }
    this.#changed();
    if (this.#candidates.size > 0) this.waiters.wake();
  }

  /** Removes all nodes. */
  clear(reason: MicroError): void {
    for (const id of [...this.#candidates.keys()]) this.#remove(id);
    this.#changed();
    this.waiters.wake(reason);
  }

  now(): number {
    this.#lastReportAt = this.#options.now();
    return this.#lastReportAt;
  }

  failed(candidate: NodeCandidate): void {
    const { ejection, onEjection } = this.#options;
    const { record } = candidate;
    if (ejection === undefined || record.failures < ejection.failures || record.ejectedUntil > 0) {
      return;
    }
    if (this.#candidates.get(candidate.node.id) !== candidate) return;
    let out = 0;
    for (const other of this.#candidates.values()) if (other.record.ejectedUntil > 0) out++;
    if (out >= Math.max(1, Math.floor(this.#candidates.size * ejection.maxShare))) return;
    const now = this.#lastReportAt;
    record.eject(ejection, now);
    this.#readmitAt = Math.min(this.#readmitAt, record.ejectedUntil);
    this.#changed();
    onEjection(candidate.node, record.ejectedUntil - now);
  }

  #put(node: Node): void {
    const known = this.#candidates.get(node.id);
    if (known !== undefined) {
      if (known.node.address === node.address) {
        known.node = node;
        return;
      }
      // At another address it is a different node, even with the same id, so its history does not
      // apply.
      this.#remove(node.id);
    }
    if (this.#candidates.size >= maxNodesPerService) return;
    this.#candidates.set(node.id, new NodeCandidate(node, this, -this.#options.random()));
    this.#options.onChange("added", node);
  }

  #remove(id: string): void {
    const known = this.#candidates.get(id);
    if (known === undefined) return;
    this.#candidates.delete(id);
    this.#options.onChange("removed", known.node);
  }

  #changed(): void {
    this.#views = new WeakMap();
    this.#lastView = undefined;
  }

  #view(filters: readonly NodeFilter[] = noFilters): readonly NodeCandidate[] {
    if (filters === this.#lastFilters && this.#lastView !== undefined) return this.#lastView;
    let view = this.#views.get(filters);
    if (view === undefined) {
      view = this.#usable(filters);
      this.#views.set(filters, view);
    }
    this.#lastFilters = filters;
    this.#lastView = view;
    return view;
  }

  /** The nodes that pass; ejected ones only if there is no other. */
  #usable(filters: readonly NodeFilter[]): readonly NodeCandidate[] {
    const passing: NodeCandidate[] = [];
    for (const candidate of this.#candidates.values()) {
      const { node } = candidate;
      const passes = (filter: NodeFilter) => filter(node);
      if (this.#options.filters.every(passes) && filters.every(passes)) passing.push(candidate);
    }
    const healthy = passing.filter((candidate) => candidate.record.ejectedUntil === 0);
    return healthy.length > 0 ? healthy : passing;
  }

  #without(
    candidates: readonly NodeCandidate[],
    exclude: ReadonlySet<string>,
  ): readonly NodeCandidate[] {
    const others = this.#others;
    others.length = 0;
    for (const candidate of candidates) {
      if (!exclude.has(candidate.node.id)) others.push(candidate);
    }
    return others.length > 0 ? others : candidates;
  }

  #readmit(): void {
    const { ejection, now } = this.#options;
    const time = now();
    if (ejection === undefined || time < this.#readmitAt) return;
    this.#readmitAt = Number.POSITIVE_INFINITY;
    for (const { record } of this.#candidates.values()) {
      if (record.ejectedUntil === 0) continue;
      if (record.ejectedUntil <= time) record.readmit(ejection, time);
      else this.#readmitAt = Math.min(this.#readmitAt, record.ejectedUntil);
    }
    this.#changed();
  }
}
