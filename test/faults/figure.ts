/** A line of the table that `npm run faults` prints. */
export interface Figure {
  /** The goal's id, such as `B1`. */
  readonly id: string;
  /** What was done. */
  readonly recipe: string;
  /** What came of it. */
  readonly found: string;
  /** What has to come of it. */
  readonly bound: string;
  readonly holds: boolean;
}

/** How much of a recipe is done. */
export type Length = "short" | "long";

/** Does a recipe and judges what came of it. */
export type Scenario = (length: Length) => Promise<Figure>;

/** What can be done to a backend. */
export interface FaultSuite {
  /** What is under test, with its version. */
  readonly subject: string;
  /** By id. */
  readonly scenarios: Readonly<Record<string, Scenario>>;
  /** Ids of those that mostly wait; they run, one after another, beside the others. Default: none. */
  readonly waiting?: readonly string[];
}

/** Prints figures as a table of Markdown. */
export function printFigures(figures: readonly Figure[]): void {
  console.log("| | recipe | found | bound | |");
  console.log("|---|---|---|---|---|");
  for (const { id, recipe, found, bound, holds } of figures) {
    console.log(`| ${id} | ${recipe} | ${found} | ${bound} | ${holds ? "holds" : "**BROKEN**"} |`);
  }
}

/** A scenario that could not be done is one whose bound does not hold. */
export function failedFigure(id: string, error: unknown): Figure {
  const found = (error instanceof Error ? error.message : String(error)).replace(/[\n|]/g, " ");
  return { id, recipe: "could not be done", found, bound: "", holds: false };
}
