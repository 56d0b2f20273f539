import { MicroError } from "../error.ts";
import { defaultLimits, type TransportLimits } from "./transport.ts";

/**
 * The limits of a transport: the defaults, and what is said otherwise.
 * @throws MicroError `invalid_argument` for one that is not a positive integer.
 */
export function resolveLimits(given: Partial<TransportLimits> = {}): TransportLimits {
  const limits: Record<keyof TransportLimits, number> = { ...defaultLimits };
  for (const name of Object.keys(defaultLimits) as (keyof TransportLimits)[]) {
    const value = given[name];
    if (value === undefined) continue;
    if (!Number.isInteger(value) || value < 1 || value > 0x7fff_ffff) {
      throw new MicroError(
        "invalid_argument",
        `transport limit ${name} is ${value}: give an integer from 1 to 2147483647`,
        { outcome: "not-executed" },
      );
    }
    limits[name] = value;
  }
  return limits;
}
