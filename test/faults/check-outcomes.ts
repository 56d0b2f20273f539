import type { Outcome } from "@micro-es/runtime";

/** A write whose response may have been lost, and the facts as another client found them. */
export interface AttemptedWrite {
  /** The outcome that its caller was told. */
  readonly told: Outcome;
  /** Whether its value was there afterwards. */
  readonly happened: boolean;
  /** Whether a later write of another client was still in force at the end. */
  readonly laterStays: boolean;
}

export interface OutcomeFigures {
  readonly unknown: number;
  /** Reported as unknown, and executed: the response was lost. */
  readonly unknownHappened: number;
  /** Reported as not executed, and executed. */
  readonly contradicted: number;
  /** Reported as executed, and not executed. */
  readonly missing: number;
  /** Executed once more after another client's write. */
  readonly ghosts: number;
}

/** Compares the outcomes that callers were told with what happened. */
export function checkOutcomes(writes: readonly AttemptedWrite[]): OutcomeFigures {
  const count = (finds: (write: AttemptedWrite) => boolean) => writes.filter(finds).length;
  return {
    unknown: count(({ told }) => told === "unknown"),
    unknownHappened: count(({ told, happened }) => told === "unknown" && happened),
    contradicted: count(({ told, happened }) => told === "not-executed" && happened),
    missing: count(({ told, happened }) => told === "executed" && !happened),
    ghosts: count(({ laterStays }) => !laterStays),
  };
}
