import type { MicroError } from "../error.ts";
import type { Node } from "../registry/registry.ts";
import { FailureRecord } from "./ejection.ts";
import type { RatedCandidate } from "./strategy.ts";

/**
 * Time in which a latency that is not confirmed fades to a third. Shorter than Finagle's and Envoy's 10 s: between
 * fast nodes one pause of a process is worth many calls, and would keep a node out for as long.
 */
const decayMs = 2_000;

/** Answers that a node gives before its latency counts: the first ones pay for connections and cold code. */
const warmUpAnswers = 10;

/** Elapsed times below this change a latency by 2.5 % at most; for so little no exponential is computed. */
const negligibleMs = 50;

/** A failed call counts as at least this slow, or a node that fails at once would look like the fastest. */
const failureLatencyMs = 20;

/** How much slower than it was a node looks after each failure. */
const failureFactor = 4;

/** What an answer counts as that took no time by the clock: 0 means that there was none yet. */
const leastLatencyMs = 0.001;

/** No penalty goes beyond this, in milliseconds. */
const worstLatencyMs = 10_000;

/** Who is told of a node's calls. */
export interface CandidateOwner {
  now(): number;
  /** A call failed by fault of the node; `record` says for the how manieth time in a row. */
  failed(candidate: NodeCandidate): void;
}

/** A node, and what its calls have taught about it. */
export class NodeCandidate implements RatedCandidate {
  node: Node;
  inFlight = 0;
  lastSelection: number;
  readonly record: FailureRecord = new FailureRecord();
  readonly #owner: CandidateOwner;
  #latencyMs = 0;
  #measuredAt = 0;
  #answers = 0;

  /** @param lastSelection not above 0; chance here keeps many clients from all starting with one node. */
  constructor(node: Node, owner: CandidateOwner, lastSelection: number) {
    this.node = node;
    this.#owner = owner;
    this.lastSelection = lastSelection;
  }

  latencyMs(now: number): number {
    if (this.#answers < warmUpAnswers) return 0;
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
      // A node that fails has shown what it can do, however new it is.
      this.#answers = warmUpAnswers;
      this.#measured(Math.max(known, Math.min(worstLatencyMs, penalty)), now);
      if (ejects(error)) {
        this.record.failures++;
        this.#owner.failed(this);
      }
    } else if (error.code !== "canceled" && error.outcome === "executed") {
      // The node answered, only not as the caller liked it.
      this.record.failures = 0;
      if (latencyMs !== undefined) this.#measured(latencyMs, now);
    }
  }

  #measured(latencyMs: number, now: number): void {
    if (this.#answers < warmUpAnswers) {
      this.#answers++;
      this.#latencyMs = Math.max(latencyMs, leastLatencyMs);
      this.#measuredAt = now;
      return;
    }
    const elapsedMs = now - this.#measuredAt;
    // The beginning of the exponential is a line, and most answers come so soon after the last.
    const share =
      elapsedMs < negligibleMs ? 1 - elapsedMs / decayMs : Math.exp(-elapsedMs / decayMs);
    const faded = this.#latencyMs * share;
    // Rises at once and falls slowly: a node that became slow is noticed by its first slow answer.
    this.#latencyMs = Math.max(latencyMs, faded + latencyMs * (1 - share), leastLatencyMs);
    this.#measuredAt = now;
  }
}

/** Whether an error says something bad of the node. The caller's own doing, cancellation above all, does not. */
function isFaultOfNode(error: MicroError): boolean {
  switch (error.code) {
    case "unavailable":
    case "internal":
    case "unknown":
    case "data_loss":
      return true;
    case "resource_exhausted":
      // Without a push-back it is as likely the request that was too large.
      return error.retryAfterMs !== undefined;
    case "deadline_exceeded":
      return error.outcome !== "not-executed";
    default:
      return false;
  }
}

/** Whether an error counts towards ejection: the node was not there, or did not answer. */
function ejects(error: MicroError): boolean {
  return error.code === "unavailable" || error.code === "deadline_exceeded";
}
