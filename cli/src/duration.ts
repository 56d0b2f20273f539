import { UsageError } from "./errors.ts";

const units: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/**
 * Milliseconds of a duration such as `500ms`, `10s`, `1.5m`.
 *
 * @throws UsageError for other text.
 */
export function readDuration(text: string, option: string): number {
  const [, amount, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text) ?? [];
  const factor = units[unit ?? ""];
  if (amount === undefined || factor === undefined) {
    throw new UsageError(`--${option} takes a duration such as 500ms, 10s or 2m, not "${text}"`);
  }
  return Number(amount) * factor;
}
