/** One line that a client program writes for each case. */
export interface CaseLine {
  readonly name: string;
  /** Why it failed; absent when it passed. */
  readonly error?: string;
}

/** Time for one case, in milliseconds. */
const caseMs = 20_000;

/** Runs cases one after another, and writes each result as a line of JSON. */
export async function runCases(
  names: readonly string[],
  cases: Readonly<Record<string, () => Promise<void>>>,
): Promise<void> {
  for (const name of names) {
    const run = cases[name];
    let line: CaseLine = { name };
    try {
      if (run === undefined) throw new Error("this client has no such case");
      await inTime(run());
    } catch (error) {
      line = { name, error: error instanceof Error ? error.message : String(error) };
    }
    process.stdout.write(`${JSON.stringify(line)}\n`);
  }
}

async function inTime(work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`it did not end within ${caseMs} ms`)), caseMs);
  });
  await Promise.race([work, late]).finally(() => clearTimeout(timer));
}
