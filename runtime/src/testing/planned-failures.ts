import { MicroError } from "../base/error.ts";
import { checkOptions, oneOf } from "../base/option-check.ts";

/** When and how often a planned failure happens. */
export interface FailureOptions {
  /**
   * How many calls or publications fail. Default 1; `Infinity` until {@link FailurePlan.cancel}.
   */
  readonly times?: number;
  /**
   * `before` (default): the request or event is never delivered. `after`: it is delivered and
   * handled, and the caller gets the error in place of the response, as when a connection breaks
   * too early.
   */
  readonly when?: "before" | "after";
}

/** An rpc or topic: its name, or a generated topic or method. */
export type FailureTarget = string | { readonly name: string };

/** The failures planned for an rpc or a topic. */
export interface FailurePlan {
  /**
   * How many have not happened yet; above zero at the end of a test, it suggests that the target's
   * name is wrong.
   */
  readonly remaining: number;
  /** Cancels the remaining failures. */
  cancel(): void;
}

/** A failure that applies to a call or a publication. */
export interface PlannedFailure {
  readonly error: MicroError;
  readonly when: "before" | "after";
}

interface Plan {
  readonly failure: PlannedFailure;
  remaining: number;
}

/** The failures planned by a test, by the full name of an rpc or the name of a topic. */
export class PlannedFailures {
  readonly #plans = new Map<string, Plan[]>();

  /**
   * Adds failures after those already planned for the target.
   * @throws MicroError `invalid_argument` when `error` is not a MicroError, or `times` is not
   * positive.
   */
  add(target: FailureTarget, error: MicroError, options: FailureOptions = {}): FailurePlan {
    const name = typeof target === "string" ? target : target.name;
    checkOptions(`fail ${name}`, options, {
      times: {
        words: "a number over 0, for example 3",
        accepts: (value) => typeof value === "number" && value > 0,
      },
      when: oneOf("before", "after"),
    });
    const { times = 1, when = "before" } = options;
    if (!(error instanceof MicroError)) {
      throw invalid(`${name} can only fail with a MicroError, as it does over every transport`);
    }
    const plan: Plan = { failure: { error, when }, remaining: times };
    const plans = this.#plans.get(name) ?? [];
    plans.push(plan);
    this.#plans.set(name, plans);
    return {
      get remaining() {
        return plan.remaining;
      },
      cancel() {
        plan.remaining = 0;
      },
    };
  }

  /** The failure of the attempt that begins now; undefined if it should proceed. */
  take(target: string): PlannedFailure | undefined {
    const next = this.#plans.get(target)?.find(({ remaining }) => remaining > 0);
    if (next === undefined) return undefined;
    next.remaining--;
    return next.failure;
  }
}

function invalid(message: string): MicroError {
  return new MicroError("invalid_argument", message, { outcome: "not-executed" });
}
