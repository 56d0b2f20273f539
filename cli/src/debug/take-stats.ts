import type { MicroError } from "@micro-es/runtime";
import { statsMethod } from "@micro-es/runtime/debug";
import type { Fleet } from "../fleet.ts";
import { debugFailure, type Place } from "./places.ts";
import type { TakenStats } from "./stats-table.ts";

/** What processes told, in the order in which they were asked for it, and why others told nothing. */
export interface StatsAnswers {
  readonly taken: readonly TakenStats[];
  readonly failures: readonly MicroError[];
}

/** Asks all of these processes at once for their figures. */
export async function takeStats(
  fleet: Fleet,
  places: readonly Place[],
  timeoutMs: number,
  signal: AbortSignal,
): Promise<StatsAnswers> {
  const [first] = places;
  if (first === undefined) return { taken: [], failures: [] };
  const client = fleet.client(first.protocol);
  const taken: TakenStats[] = [];
  const failures: MicroError[] = [];
  await Promise.all(
    places.map(async (place) => {
      try {
        const stats = await client.unary(statsMethod, {}, { ...place.call, timeoutMs, signal });
        taken.push({ place, stats, takenAt: performance.now() });
      } catch (reason) {
        failures.push(debugFailure(place.address, reason));
      }
    }),
  );
  taken.sort((a, b) => places.indexOf(a.place) - places.indexOf(b.place));
  return { taken, failures };
}
