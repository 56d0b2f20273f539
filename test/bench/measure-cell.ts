import type { Cell } from "./cells.ts";
import type { Pair, Usage } from "./pair.ts";
import type { SliceResult } from "./slice.ts";
import type { Row } from "./table.ts";

/** How long and how often every contender is measured. */
export interface Pace {
  readonly slices: number;
  readonly sliceMs: number;
}

/**
 * Compiled code is measured: with a shorter warm-up, slow peers would be measured while they are
 * interpreted.
 */
const warmUp = { ms: 1_000, atLeast: 8_000, maxMs: 5_000 };

/** The result of one slice of one contender. */
interface Measured {
  readonly perSecond: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly clientCpuUs: number;
  readonly serverCpuUs: number;
  readonly clientRss: number;
  readonly serverRss: number;
}

/**
 * Warms every contender up, then measures slices of all of them in turn, so that noise affects all
 * alike.
 *
 * @param say called for a contender that fails
 */
export async function measureCell(
  cell: Cell,
  pairs: readonly Pair[],
  { slices, sliceMs }: Pace,
  say: (line: string) => void,
): Promise<Row[]> {
  const measured = new Map<Pair, Measured[]>();
  for (const pair of pairs) {
    try {
      await pair.slice({ ...cell, ...warmUp });
      measured.set(pair, []);
    } catch (error) {
      const message = error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error);
      if (!/cannot do that/.test(message))
        say(`${pair.name} fails ${cell.suite}, ${cell.bytes} B, ${cell.inFlight}: ${message}`);
    }
  }
  for (let round = 0; round < slices; round++) {
    for (const [pair, results] of measured) {
      const before = await pair.usage();
      const slice = await pair.slice({ ...cell, ms: sliceMs });
      results.push(figures(slice, before, await pair.usage()));
    }
  }
  const rate = (name: string) => {
    const [, results] = [...measured].find(([pair]) => pair.name === name) ?? [];
    return results && median(results.map((it) => it.perSecond));
  };
  const grpc = rate("grpc-js");
  const raw = rate("raw-tcp");
  return [...measured].map(([pair, results]) => rowOf(cell, pair.name, results, grpc, raw));
}

function figures(
  { operations, elapsedMs, p50Us, p99Us }: SliceResult,
  before: { readonly client: Usage; readonly server: Usage },
  after: { readonly client: Usage; readonly server: Usage },
): Measured {
  return {
    perSecond: (operations / elapsedMs) * 1000,
    p50Us,
    p99Us,
    clientCpuUs: (after.client.cpuUs - before.client.cpuUs) / operations,
    serverCpuUs: (after.server.cpuUs - before.server.cpuUs) / operations,
    clientRss: after.client.rssBytes,
    serverRss: after.server.rssBytes,
  };
}

function rowOf(
  { suite, inFlight, bytes }: Cell,
  contender: string,
  results: readonly Measured[],
  grpc: number | undefined,
  raw: number | undefined,
): Row {
  const middle = (figure: (it: Measured) => number) => median(results.map(figure));
  const perSecond = middle((it) => it.perSecond);
  return {
    suite,
    contender,
    inFlight,
    bytes,
    perSecond: Math.round(perSecond),
    p50Us: Math.round(middle((it) => it.p50Us)),
    p99Us: Math.round(middle((it) => it.p99Us)),
    ratioToGrpcJs: grpc === undefined ? null : round(perSecond / grpc, 2),
    ratioToRawTcp: raw === undefined ? null : round(perSecond / raw, 3),
    cpuUsPerOperation: round(
      middle((it) => it.clientCpuUs + it.serverCpuUs),
      2,
    ),
    // Microseconds of one are hundredths of seconds of ten thousand.
    clientCpuSecondsPer10k: round(middle((it) => it.clientCpuUs) / 100, 3),
    serverCpuSecondsPer10k: round(middle((it) => it.serverCpuUs) / 100, 3),
    clientRssMb: round(middle((it) => it.clientRss) / 2 ** 20, 0),
    serverRssMb: round(middle((it) => it.serverRss) / 2 ** 20, 0),
  };
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? 0)) / 2;
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
