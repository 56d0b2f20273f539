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

/** Prints figures as a table of Markdown. */
export function printFigures(figures: readonly Figure[]): void {
  console.log("| | recipe | found | bound | |");
  console.log("|---|---|---|---|---|");
  for (const { id, recipe, found, bound, holds } of figures) {
    console.log(`| ${id} | ${recipe} | ${found} | ${bound} | ${holds ? "holds" : "**BROKEN**"} |`);
  }
}
