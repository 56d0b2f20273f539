import { setTimeout as sleep } from "node:timers/promises";
import { type Attack, allowance, defaultStallMs } from "./attack.ts";
import { slowness } from "./slowness.ts";
import { Target, type Usage } from "./target.ts";

/** An attack with the name of its file. */
export interface NamedAttack extends Attack {
  readonly name: string;
}

/** What an attack cost the target. */
export interface Cost {
  readonly attack: NamedAttack;
  readonly sentBytes: number;
  readonly cpuMs: number;
  readonly cpuMsPerMB: number;
  readonly heldBytes: number;
  readonly heldPerByte: number;
  readonly peakBytes: number;
  readonly stallMs: number;
  /** What exceeded a bound or did not stay true; empty for an attack that failed. */
  readonly faults: readonly string[];
}

/** The longest that an attack may take with everything, in milliseconds. */
const maxAttackMs = 90_000;
const sampleMs = 300;

/** Runs an attack against a target of its own, on the given program of Node. */
export async function measure(attack: NamedAttack, node: string): Promise<Cost> {
  const target = await Target.start(attack, node);
  const faults: string[] = [];
  let last: Usage | undefined;
  let heldBytes = 0;
  let over = false;
  const timer = setTimeout(() => {
    faults.push(`did not end within ${maxAttackMs / 1_000} s`);
    target.stop();
  }, maxAttackMs);
  try {
    const before = await target.usage();
    await target.reset();
    const sentBefore = target.sentBytes;
    const sample = async () => {
      last = await target.usage();
      heldBytes = Math.max(heldBytes, last.held - before.held);
    };
    const sampling = (async () => {
      while (!over) {
        await sleep(sampleMs);
        await sample();
      }
    })().catch(() => undefined);
    try {
      await attack.run(target);
      await sample();
    } catch (error) {
      faults.push(error instanceof Error ? error.message : String(error));
    }
    over = true;
    const sentBytes = target.sentBytes - sentBefore;
    target.closeConnections();
    await sampling;
    try {
      await target.ordinaryCall();
      last = await target.usage();
      faults.push(...last.problems);
    } catch (error) {
      const cause = error instanceof Error ? (error.cause ?? error) : error;
      faults.push(`does not serve others afterwards: ${cause}`);
    }
    const cost = {
      attack,
      sentBytes,
      cpuMs: last?.cpuMs ?? 0,
      cpuMsPerMB: (last?.cpuMs ?? 0) / (sentBytes / 1e6),
      heldBytes,
      heldPerByte: heldBytes / sentBytes,
      peakBytes: Math.max(0, (last?.peakRss ?? 0) - before.peakRss),
      stallMs: last?.stallMs ?? 0,
    };
    return { ...cost, faults: [...exceeded(cost), ...faults] };
  } finally {
    clearTimeout(timer);
    target.stop();
  }
}

/** The bounds that a cost exceeds, in words; those of time are wider on a slower machine. */
export function exceeded(cost: Omit<Cost, "faults">, slower: number = slowness()): string[] {
  const { attack, sentBytes, cpuMs, heldBytes, stallMs } = cost;
  const { bounds } = attack;
  const found: string[] = [];
  const maxCpuMs = slower * (allowance.cpuMs + (bounds.cpuMsPerMB * sentBytes) / 1e6);
  const maxHeld = allowance.heldBytes + bounds.heldPerByte * sentBytes;
  const maxStallMs = slower * (bounds.stallMs ?? defaultStallMs);
  const limit = (what: string, is: number, most: number, unit: string) => {
    if (is > most) found.push(`${what} ${is.toFixed(0)} ${unit}, at most ${most.toFixed(0)}`);
  };
  if (sentBytes === 0) found.push("sent nothing");
  limit("CPU time", cpuMs, maxCpuMs, "ms");
  limit("memory held", heldBytes / 1e6, maxHeld / 1e6, "MB");
  limit("longest stall", stallMs, maxStallMs, "ms");
  return found;
}
