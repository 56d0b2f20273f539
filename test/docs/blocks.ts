/** A fenced block of a page. */
export interface Block {
  /** Path of the page in the repository, such as `docs/testing.md`. */
  readonly page: string;
  /** Number of the line after the opening fence. */
  readonly line: number;
  /** Such as `ts`; empty when the fence names none. */
  readonly language: string;
  /** The words after the language: see {@link programsOf}. */
  readonly marks: readonly string[];
  readonly text: string;
}

/** A module that blocks of one page make up. */
export interface Program {
  readonly page: string;
  /** Path below the folder of its page, such as `greeter.ts`. */
  readonly file: string;
  /**
   * Has as many lines before the text of each block as its page has, so that errors have the page's
   * line numbers.
   */
  readonly text: string;
  /** `never`: the program is only type-checked. */
  readonly runs: "never" | "as a program" | "as tests";
  /** What the program prints, as the comments behind its `console.log` have it. */
  readonly prints: readonly string[];
}

/** The programs of all pages that these blocks are of. @throws Error as {@link programsOf}. */
export function allProgramsOf(blocks: readonly Block[]): readonly Program[] {
  const pages = [...new Set(blocks.map(({ page }) => page))];
  return pages.flatMap((page) => programsOf(blocks.filter((block) => block.page === page)));
}

/** The fenced blocks of a page, in order. */
export function blocksOf(page: string, markdown: string): readonly Block[] {
  const blocks: Block[] = [];
  const lines = markdown.split("\n");
  for (let at = 0; at < lines.length; at++) {
    const fence = /^ {0,3}(```+)(\S*)(.*)$/.exec(lines[at] ?? "");
    if (fence === null) continue;
    const [, ticks = "", language = "", marks = ""] = fence;
    const line = at + 2;
    const text: string[] = [];
    while (++at < lines.length && lines[at]?.trim() !== ticks) text.push(lines[at] ?? "");
    blocks.push({
      page,
      line,
      language,
      marks: marks.split(" ").filter(Boolean),
      text: text.join("\n"),
    });
  }
  return blocks;
}

/**
 * The programs of a page's `ts` blocks. The words after `ts` say what a block is:
 *
 * - `check`: a module of its own that is type-checked; `file=NAME` the same, which other blocks
 *   import as `./NAME`
 * - `run`: it is also run, and prints what its comments behind `console.log` say
 * - `test`: it is also run, as tests of `node:test`
 * - `continue`: the rest of the module that the block before it began
 * - `fragment`: it cannot be checked, because it leaves something out
 *
 * @throws Error for any other word, and for a block without one on a page that has others with.
 */
export function programsOf(blocks: readonly Block[]): readonly Program[] {
  const programs: Program[] = [];
  const ours = blocks.filter(({ language }) => language === "ts" || language === "typescript");
  const checked = ours.some(({ marks }) => marks.some((mark) => mark !== "fragment"));
  for (const block of ours) {
    if (!checked || block.marks.includes("fragment")) continue;
    const where = `${block.page}:${block.line}`;
    const unknown = block.marks.find(
      (mark) => !/^(?:check|run|test|continue|file=\S+)$/.test(mark),
    );
    if (unknown !== undefined) throw new Error(`${where}: unknown mark ${unknown} of a block`);
    if (block.marks.length === 0) {
      throw new Error(`${where}: this block is not checked; mark it check, run, test or fragment`);
    }
    const before = programs.at(-1);
    if (block.marks.includes("continue")) {
      if (before === undefined) throw new Error(`${where}: there is no block to continue`);
      programs[programs.length - 1] = joined(before, block);
    } else {
      const name = block.marks.find((mark) => mark.startsWith("file="))?.slice("file=".length);
      const file = name ?? `block-${block.line}.ts`;
      programs.push(joined({ page: block.page, file, text: "", runs: "never", prints: [] }, block));
    }
  }
  return programs;
}

function joined(before: Program, { line, text, marks }: Block): Program {
  const missing = line - before.text.split("\n").length;
  const runs = marks.includes("run")
    ? "as a program"
    : marks.includes("test")
      ? "as tests"
      : before.runs;
  return {
    ...before,
    runs,
    text: `${before.text}${"\n".repeat(missing)}${text}`,
    prints: [...before.prints, ...printsOf(text)],
  };
}

function printsOf(text: string): readonly string[] {
  return [...text.matchAll(/console\.log\(.*\);? \/\/ (.*)$/gm)].map(([, print = ""]) => print);
}
