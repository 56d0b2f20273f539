/**
 * When nodes that fail consecutive calls are ejected for a while (the consecutive-failure part of
 * gRPC's and Envoy's outlier detection). When no other node is left, ejected ones are used anyway.
 */
export interface EjectionPolicy {
  /** Consecutive failures that eject a node. Default 5. */
  readonly failures: number;
  /**
   * How long the first ejection lasts, in milliseconds; the nth lasts n times as long. Default
   * 30,000.
   */
  readonly baseMs: number;
  /** Maximum duration of an ejection, in milliseconds. Default 300,000. */
  readonly maxMs: number;
  /**
   * Maximum share of a service's nodes ejected at once; one node can always be ejected. Default
   * 0.5.
   */
  readonly maxShare: number;
}

export const defaultEjection: EjectionPolicy = {
  failures: 5,
  baseMs: 30_000,
  maxMs: 300_000,
  maxShare: 0.5,
};

/** A node not ejected for this long has one ejection less on its record, in milliseconds. */
const forgiveMs = 10_000;

/** One node's record of consecutive failures. It has no clock; callers pass the time. */
export class FailureRecord {
  /** Failures since the last success. */
  failures = 0;
  /** Until when the node is ejected; 0 if it is not. */
  ejectedUntil = 0;
  #ejections = 0;
  #returnedAt = 0;

  /** Ejects the node. */
  eject(policy: EjectionPolicy, now: number): void {
    const forgiven = Math.floor((now - this.#returnedAt) / forgiveMs);
    this.#ejections = Math.max(0, this.#ejections - forgiven) + 1;
    this.ejectedUntil = now + Math.min(policy.maxMs, policy.baseMs * this.#ejections);
  }

  /** Readmits the node on probation: its next failure ejects it again. */
  readmit(policy: EjectionPolicy, now: number): void {
    this.ejectedUntil = 0;
    this.#returnedAt = now;
    this.failures = policy.failures - 1;
  }
}
