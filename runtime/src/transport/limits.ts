import { defaultLimits, type TransportLimits } from "./transport.ts";

/**
 * Returns the limits of a transport: the given ones, which the transport has validated, over the
 * defaults.
 */
export function resolveLimits(given: Partial<TransportLimits> = {}): TransportLimits {
  const limits: Record<keyof TransportLimits, number> = { ...defaultLimits };
  for (const name of Object.keys(defaultLimits) as (keyof TransportLimits)[]) {
    limits[name] = given[name] ?? limits[name];
  }
  return limits;
}
