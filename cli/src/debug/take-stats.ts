import type { MicroError } from "@micro-es/runtime";
import { statsMethod } from "@micro-es/runtime/debug";
import type { BackendParts } from "../backend-parts.ts";
import { debugFailure, type Endpoint } from "./endpoints.ts";
import type { TakenStats } from "./stats-table.ts";

/** The statistics of processes, in the order of the request, and the errors of the others. */
export interface StatsResponses {
  readonly taken: readonly TakenStats[];
  readonly failures: readonly MicroError[];
}

/** Requests the statistics of all these processes concurrently. */
export async function takeStats(
  backend: BackendParts,
  endpoints: readonly Endpoint[],
  timeoutMs: number,
  signal: AbortSignal,
): Promise<StatsResponses> {
  const [first] = endpoints;
  if (first === undefined) return { taken: [], failures: [] };
  const client = backend.client(first.protocol);
  const taken: TakenStats[] = [];
  const failures: MicroError[] = [];
  await Promise.all(
    endpoints.map(async (endpoint) => {
      try {
        const stats = await client.unary(statsMethod, {}, { ...endpoint.call, timeoutMs, signal });
        taken.push({ endpoint, stats, takenAt: performance.now() });
      } catch (reason) {
        failures.push(debugFailure(endpoint.address, reason));
      }
    }),
  );
  taken.sort((a, b) => endpoints.indexOf(a.endpoint) - endpoints.indexOf(b.endpoint));
  return { taken, failures };
}
