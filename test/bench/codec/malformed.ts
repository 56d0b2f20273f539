import type { Contender, Loaded } from "./contender.ts";
import { type Fixture, numbers } from "./fixtures.ts";
import { type Measurement, measure, median } from "./measure.ts";

/** How much slower a fixture is decoded once malformed bytes have been refused. */
export interface Slowdown {
  readonly fixture: string;
  readonly kind: MalformedKind;
  /** The time that decoding takes afterwards, in multiples of the time before. */
  readonly times: number;
}

/** Bytes that end too early, or some of which are others. */
export type MalformedKind = "truncated" | "changed";

const inputs = 12_000;
/** Of large messages only the beginning is changed, so that feeding them takes little time. */
const largest = 16 * 1024;

type Case = readonly [Fixture, [Contender, Loaded][], Uint8Array];

/**
 * Measures decoding beside one that never meets malformed bytes, feeds ours with such of one kind after the other, and
 * measures again. What an engine once saw go wrong it provides for ever after, so this comes last in a process.
 */
export function slowdowns(cases: readonly Case[], rounds: number): Slowdown[] {
  const before = cases.map((it) => timesOfOther(it, rounds));
  return (["truncated", "changed"] as const).flatMap((kind) => {
    feed(cases, kind);
    return cases.map((it, index) => ({
      fixture: it[0].name,
      kind,
      times: before[index]! / timesOfOther(it, rounds),
    }));
  });
}

/** How often ours, which is the first, decodes in the time in which the second does it once. */
function timesOfOther([, [ours, other], bytes]: Case, rounds: number): number {
  const measurements: Measurement<string>[] = [ours!, other!].map(([{ name }, codec]) => ({
    key: name,
    run: () => {
      sink = codec.decode(bytes);
    },
  }));
  const [own, others] = measure(measurements, rounds);
  return median(own!.rates.map((rate, round) => rate / others!.rates[round]!));
}

/** Where results go, so that nobody can tell that they are of no use. */
let sink: unknown;

function feed(cases: readonly Case[], kind: MalformedKind): void {
  const below = numbers(7);
  let refused = 0;
  for (let i = 0; i < inputs; i++) {
    const [, [ours], bytes] = cases[i % cases.length]!;
    const end = Math.min(bytes.length, largest);
    const input = bytes.slice(0, kind === "truncated" ? below(end) : end);
    if (kind === "changed") {
      for (let changes = 1 + below(3); changes > 0; changes--) input[below(end)] = below(256);
    }
    try {
      sink = ours![1].decode(input);
    } catch {
      refused++;
    }
  }
  if (sink === undefined || refused < inputs / 4) {
    throw new Error(`only ${refused} of ${inputs} inputs were malformed`);
  }
}

export function slowdownTable(rows: readonly Slowdown[]): string {
  const lines = ["", "decoding after malformed bytes, in multiples of the time before"];
  for (const { fixture, kind, times } of rows) {
    lines.push(`${fixture.padEnd(24)}${kind.padEnd(20)}${times.toFixed(2)}x`);
  }
  return lines.join("\n");
}
