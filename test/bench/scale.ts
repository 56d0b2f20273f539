import { type ChildProcess, fork } from "node:child_process";

/** The cost of many connections, or of many streams on one, for the server. */
export interface ScaleRow {
  readonly suite: "connections" | "streams" | "reconnects";
  readonly count: number;
  readonly expected: number;
  readonly echoes: number;
  readonly ms: number;
  readonly serverRssMb: number;
  readonly limitMb: number;
}

const runs = [
  { suite: "connections", count: 10_000, rounds: 10, limitMb: 450 },
  { suite: "streams", count: 10_000, rounds: 10, limitMb: 250 },
  { suite: "reconnects", count: 100_000, rounds: 1, limitMb: 250 },
] as const;

/**
 * Opens ten thousand of each, and lets each echo ten times; and reconnects a hundred thousand
 * times.
 *
 * @param suites default: all
 */
export async function scale(
  folder: string,
  suites: readonly ScaleRow["suite"][] = runs.map(({ suite }) => suite),
): Promise<ScaleRow[]> {
  const rows: ScaleRow[] = [];
  for (const { suite, count, rounds, limitMb } of runs) {
    if (!suites.includes(suite)) continue;
    const server = fork(`${folder}/scale-side.js`, ["server"]);
    const address = String(await answer(server));
    const client = fork(`${folder}/scale-side.js`, [suite, address, String(count)]);
    let highest = 0;
    const watch = setInterval(() => server.send("memory"), 100);
    server.on("message", (rss) => {
      highest = Math.max(highest, Number(rss));
    });
    const { echoes, ms } = (await answer(client)) as { echoes: number; ms: number };
    clearInterval(watch);
    client.kill("SIGKILL");
    server.kill("SIGKILL");
    rows.push({
      suite,
      count,
      expected: count * rounds,
      echoes,
      ms: Math.round(ms),
      serverRssMb: Math.round(highest / 2 ** 20),
      limitMb,
    });
  }
  return rows;
}

/** Prints the rows; true if every echo arrived and no limit was exceeded. */
export function printScale(rows: readonly ScaleRow[]): boolean {
  let all = true;
  for (const row of rows) {
    const reached = row.echoes === row.expected && row.serverRssMb <= row.limitMb;
    all &&= reached;
    console.log(
      `${reached ? "reached" : "MISSED "}  ${row.count} ${row.suite}: ${row.echoes} echoes in ${row.ms} ms, server ${row.serverRssMb} MB at most (limit ${row.limitMb})`,
    );
  }
  return all;
}

function answer(child: ChildProcess): Promise<unknown> {
  return new Promise((resolve, reject) => {
    child.once("message", resolve);
    child.once("exit", (code) =>
      reject(new Error(`a side of the scale suite ended with code ${code}`)),
    );
  });
}
