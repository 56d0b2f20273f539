import { monotonicNow } from "../base/deadline.ts";
import { type Code, isMicroError } from "../base/error.ts";
import type { ServerCall } from "../call/call.ts";
import type { AnyMethod } from "../call/method.ts";
import { LatencyHistogram, type LatencySummary } from "./latency-histogram.ts";

/** Summary of a method's calls. */
export interface MethodSummary {
  readonly method: string;
  /** Calls that have ended. */
  readonly calls: number;
  readonly errors: ReadonlyMap<Code, number>;
  readonly inFlight: number;
  /** Of calls that ended in the last one to two minutes. */
  readonly latency: LatencySummary;
}

const windowMs = 60_000;

/** Counts and times the calls of one method. */
export class MethodMeter {
  readonly #method: AnyMethod;
  readonly #errors = new Map<Code, number>();
  readonly #latency = new LatencyHistogram(windowMs, monotonicNow());
  #started = 0;
  #ended = 0;

  constructor(method: AnyMethod) {
    this.#method = method;
  }

  /** Starts timing a call; returns the start time, for {@link end}. */
  begin(): number {
    this.#started++;
    return monotonicNow();
  }

  /**
   * Records the end of a call that started at that time. A cancelled call counts with the error
   * code of its cancellation.
   */
  end(call: ServerCall, beganAt: number, failed: boolean, reason: unknown): void {
    const now = monotonicNow();
    this.#ended++;
    this.#latency.add(now - beganAt, now);
    if (call.cancelled !== undefined) this.fail(call.cancelled.code);
    else if (failed) this.fail(isMicroError(reason) ? reason.code : "internal");
  }

  /** Counts an error. */
  fail(code: Code): void {
    this.#errors.set(code, (this.#errors.get(code) ?? 0) + 1);
  }

  get summary(): MethodSummary {
    return {
      method: this.#method.name,
      calls: this.#ended,
      errors: this.#errors,
      inFlight: this.#started - this.#ended,
      latency: this.#latency.summary(monotonicNow()),
    };
  }
}

/** One meter for each method that was called. */
export class CallMeters {
  readonly #meters = new Map<AnyMethod, MethodMeter>();

  of(method: AnyMethod): MethodMeter {
    let meter = this.#meters.get(method);
    if (meter === undefined) {
      meter = new MethodMeter(method);
      this.#meters.set(method, meter);
    }
    return meter;
  }
}
