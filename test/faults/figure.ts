/** A line of the table that `npm run faults` prints. */
export interface Figure {
  /** The goal's id, such as `B1`. */
  readonly id: string;
  /** The injected fault. */
  readonly recipe: string;
  /** The result. */
  readonly found: string;
  /** The required result. */
  readonly bound: string;
  readonly holds: boolean;
}

/** How much of a recipe is done. */
export type Length = "short" | "long";

/** Runs a recipe and judges the result. */
export type Scenario = (length: Length) => Promise<Figure>;

/** The faults that can be injected into a backend. */
export interface FaultSuite {
  /** The system under test, with its version. */
  readonly subject: string;
  /** By id. */
  readonly scenarios: Readonly<Record<string, Scenario>>;
  /**
   * Ids of those that mostly wait, in one group or several: those of a group run one after another,
   * in parallel with the other groups and with all others. Default: none.
   */
  readonly waiting?: readonly string[] | readonly (readonly string[])[];
  /** Ids of those that only run by their ids or in long forms. Default: none. */
  readonly byHand?: readonly string[];
  /** Ends what its scenarios share, once all have run. */
  close?(): Promise<void>;
}

/** Prints figures as a Markdown table. */
export function printFigures(figures: readonly Figure[]): void {
  console.log("| | recipe | found | bound | |");
  console.log("|---|---|---|---|---|");
  for (const { id, recipe, found, bound, holds } of figures) {
    console.log(`| ${id} | ${recipe} | ${found} | ${bound} | ${holds ? "holds" : "**BROKEN**"} |`);
  }
}

/** A scenario that could not run counts as one whose bound does not hold. */
export function failedFigure(id: string, error: unknown): Figure {
  const found = (error instanceof Error ? error.message : String(error)).replace(/[\n|]/g, " ");
  return { id, recipe: "could not be done", found, bound: "", holds: false };
}
