/**
 * When nodes that fail call after call are left out for a while (gRPC's and Envoy's outlier detection, the
 * part that looks at consecutive failures). When no other node is left, ejected ones are used all the same.
 */
export interface EjectionPolicy {
  /** Failures in a row that eject a node. Default 5. */
  readonly failures: number;
  /** How long the first ejection lasts, in milliseconds; the nth lasts n times as long. Default 30,000. */
  readonly baseMs: number;
  /** The longest ejection, in milliseconds. Default 300,000. */
  readonly maxMs: number;
  /** The share of a service's nodes that may be out at once, though always one. Default 0.5. */
  readonly maxShare: number;
}

export const defaultEjection: EjectionPolicy = {
  failures: 5,
  baseMs: 30_000,
  maxMs: 300_000,
  maxShare: 0.5,
};

/** A node that stayed in for this long has one ejection less on its account, in milliseconds. */
const forgiveMs = 10_000;

/** One node's record of failures in a row. It knows no clock: it is told the time. */
export class FailureRecord {
  /** Failures since the last success. */
  failures = 0;
  /** Until when it is out; 0 when it is not. */
  ejectedUntil = 0;
  #ejections = 0;
  #returnedAt = 0;

  /** Puts the node out. */
  eject(policy: EjectionPolicy, now: number): void {
    const forgiven = Math.floor((now - this.#returnedAt) / forgiveMs);
    this.#ejections = Math.max(0, this.#ejections - forgiven) + 1;
    this.ejectedUntil = now + Math.min(policy.maxMs, policy.baseMs * this.#ejections);
  }

  /** Takes the node back on probation: its next failure puts it out again. */
  readmit(policy: EjectionPolicy, now: number): void {
    this.ejectedUntil = 0;
    this.#returnedAt = now;
    this.failures = policy.failures - 1;
  }
}
