import type { MicroError } from "../base/error.ts";
import type { Node } from "../registry/registry.ts";
import { FailureRecord } from "./ejection.ts";
import type { RatedCandidate } from "./strategy.ts";

/**
 * Time in which an unconfirmed latency decays to a third. Shorter than the 10 s of Finagle and
 * Envoy: between fast nodes one pause of a process is worth many calls, and would keep a node out
 * for as long.
 */
const decayMs = 2_000;

/**
 * Responses a node returns before its latency counts: the first ones pay for connections and cold
 * code.
 */
const warmUpResponses = 10;

/**
 * Elapsed times below this change a latency by at most 2.5 %, so the exponential is not computed.
 */
const negligibleMs = 50;

/**
 * A failed call counts as at least this slow; otherwise a node that fails immediately would look
 * like the fastest.
 */
const failureLatencyMs = 20;

/** Factor by which each failure increases a node's apparent latency. */
const failureFactor = 4;

/** Latency of a response that took no measurable time: 0 means that there was no response yet. */
const leastLatencyMs = 0.001;

/** Upper limit of any penalty, in milliseconds. */
const worstLatencyMs = 10_000;

/** Receives the failures of a node's calls. */
export interface CandidateOwner {
  now(): number;
  /** A call failed through the fault of the node; `record` says how many times in a row. */
  failed(candidate: NodeCandidate): void;
}

/** A node, and what its calls have revealed about it. */
export class NodeCandidate implements RatedCandidate {
  node: Node;
  inFlight = 0;
  lastSelection: number;
  readonly record: FailureRecord = new FailureRecord();
  readonly #owner: CandidateOwner;
  #latencyMs = 0;
  #measuredAt = 0;
  #responses = 0;

  /**
   * @param lastSelection at most 0; random values keep many clients from all starting with the same
   * node.
   */
  constructor(node: Node, owner: CandidateOwner, lastSelection: number) {
    this.node = node;
    this.#owner = owner;
    this.lastSelection = lastSelection;
  }

  latencyMs(now: number): number {
    if (this.#responses < warmUpResponses) return 0;
    const elapsedMs = now - this.#measuredAt;
    if (elapsedMs < negligibleMs) return this.#latencyMs;
    return this.#latencyMs * Math.exp(-elapsedMs / decayMs);
  }

  report(latencyMs: number | undefined, error?: MicroError): void {
    if (this.inFlight > 0) this.inFlight--;
    const now = this.#owner.now();
    if (error === undefined) {
      this.record.failures = 0;
      if (latencyMs !== undefined) this.#measured(latencyMs, now);
    } else if (isFaultOfNode(error)) {
      const known = Math.max(latencyMs ?? 0, this.latencyMs(now));
      const penalty = Math.max(failureLatencyMs, known * failureFactor);
      // A failure is conclusive, however new the node is.
      this.#responses = warmUpResponses;
      this.#measured(Math.max(known, Math.min(worstLatencyMs, penalty)), now);
      if (ejects(error)) {
        this.record.failures++;
        this.#owner.failed(this);
      }
    } else if (error.code !== "canceled" && error.outcome === "executed") {
      // The node responded, although not as the caller wanted.
      this.record.failures = 0;
      if (latencyMs !== undefined) this.#measured(latencyMs, now);
    }
  }

  #measured(latencyMs: number, now: number): void {
    if (this.#responses < warmUpResponses) {
      this.#responses++;
      this.#latencyMs = Math.max(latencyMs, leastLatencyMs);
      this.#measuredAt = now;
      return;
    }
    const elapsedMs = now - this.#measuredAt;
    // The exponential starts out linear, and most responses follow the previous one that soon.
    const share =
      elapsedMs < negligibleMs ? 1 - elapsedMs / decayMs : Math.exp(-elapsedMs / decayMs);
    const faded = this.#latencyMs * share;
    // Rises immediately and falls slowly, so that a slow node is noticed by its first slow
    // response.
    this.#latencyMs = Math.max(latencyMs, faded + latencyMs * (1 - share), leastLatencyMs);
    this.#measuredAt = now;
  }
}

/**
 * Whether an error counts against the node. Errors caused by the caller, such as a cancellation, do
 * not.
 */
function isFaultOfNode(error: MicroError): boolean {
  switch (error.code) {
    case "unavailable":
    case "internal":
    case "unknown":
    case "data_loss":
      return true;
    case "resource_exhausted":
      // Without a push-back the request may just as well have been too large.
      return error.retryAfterMs !== undefined;
    case "deadline_exceeded":
      return error.outcome !== "not-executed";
    default:
      return false;
  }
}

/** Whether an error counts towards ejection: the node was unreachable, or did not respond. */
function ejects(error: MicroError): boolean {
  return error.code === "unavailable" || error.code === "deadline_exceeded";
}
