import { readFileSync } from "node:fs";

/** Milliseconds on a clock that all processes of this host share, that nobody sets, and that begins with its boot. */
export function hostNow(): number {
  return Number(process.hrtime.bigint() / 1_000n) / 1_000;
}

let knownBootId: string | undefined;

/** Tells one boot of the host from another, where the system says; times of {@link hostNow} belong to one boot. */
export function bootId(): string {
  knownBootId ??= readBootId();
  return knownBootId;
}

function readBootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    // Not Linux: after a boot the clock has gone back, which tells as well for as long as the lease's age.
    return "";
  }
}
