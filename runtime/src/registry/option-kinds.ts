import {
  callback,
  checkOptions,
  durationMs,
  type OptionKindsOf,
  signal,
} from "../base/option-check.ts";
import { defaultTtlMs, type Node, type RegisterOptions } from "./registry.ts";
import { longestTtlMs, shortestTtlMs } from "./validate.ts";

/** Options of the reading methods of a registry. */
export interface ReadOptions {
  readonly signal?: AbortSignal;
}

const registerKinds: OptionKindsOf<RegisterOptions> = {
  ttlMs: durationMs(shortestTtlMs, longestTtlMs),
  onTakenOver: callback,
  signal,
};
const readKinds: OptionKindsOf<ReadOptions> = { signal };

/**
 * Validates the options of a registration.
 * @returns its time to live in milliseconds
 * @throws MicroError `invalid_argument`
 */
export function checkRegisterOptions(node: Node, options: RegisterOptions): number {
  checkOptions(() => `register ${node?.id}`, options, registerKinds);
  return options.ttlMs ?? defaultTtlMs;
}

/** Validates the options of `get`, `list` and `watch`. @throws MicroError `invalid_argument` */
export function checkReadOptions(what: string, options: ReadOptions): void {
  checkOptions(what, options, readKinds);
}
