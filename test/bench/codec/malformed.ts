import { type Case, casesOf } from "./contender.ts";
import { microEs } from "./contenders/micro-es.ts";
import { protobufEs } from "./contenders/protobuf-es.ts";
import { numbers } from "./fixtures.ts";
import { type Measurement, measure, median } from "./measure.ts";

/** The slowdown of decoding a fixture after malformed bytes have been rejected. */
export interface Slowdown {
  readonly fixture: string;
  readonly kind: MalformedKind;
  /** The decoding time afterwards, as a multiple of the time before. */
  readonly times: number;
}

/** Bytes that end too early, or some of which were changed. */
export type MalformedKind = "truncated" | "changed";

const inputs = 12_000;
/** Of large messages only the beginning is changed, so that feeding them takes little time. */
const largest = 16 * 1024;

/** Our codec, and the reference that never receives malformed bytes. */
type Pair = readonly [Case, Case];

/**
 * Measures decoding relative to a codec that never receives malformed bytes, feeds ours with one
 * kind of them after the other, and measures again. An engine adapts permanently to failures that
 * it has seen, so this comes last in a process.
 */
export async function slowdowns(folder: string, rounds: number): Promise<Slowdown[]> {
  const others = await casesOf(protobufEs, folder);
  const pairs = (await casesOf(microEs, folder)).map((own, i): Pair => [own, others[i]!]);
  const before = pairs.map((pair) => timesOfOther(pair, rounds));
  return (["truncated", "changed"] as const).flatMap((kind) => {
    feed(pairs, kind);
    return pairs.map((pair, index) => ({
      fixture: pair[0].fixture.name,
      kind,
      times: before[index]! / timesOfOther(pair, rounds),
    }));
  });
}

/** How often ours decodes in the time in which the reference does it once. */
function timesOfOther(pair: Pair, rounds: number): number {
  const measurements = pair.map(
    ({ codec, bytes }, key): Measurement<number> => ({
      key,
      run: () => {
        sink = codec.decode(bytes);
      },
    }),
  );
  const [own, others] = measure(measurements, rounds);
  return median(own!.rates.map((rate, round) => rate / others!.rates[round]!));
}

/** Stores results, so that the engine cannot remove the work as unused. */
let sink: unknown;

function feed(pairs: readonly Pair[], kind: MalformedKind): void {
  const below = numbers(7);
  let refused = 0;
  for (let i = 0; i < inputs; i++) {
    const [{ codec, bytes }] = pairs[i % pairs.length]!;
    const end = Math.min(bytes.length, largest);
    const input = bytes.slice(0, kind === "truncated" ? below(end) : end);
    if (kind === "changed") {
      for (let changes = 1 + below(3); changes > 0; changes--) input[below(end)] = below(256);
    }
    try {
      sink = codec.decode(input);
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
