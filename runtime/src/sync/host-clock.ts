import { readFileSync } from "node:fs";

/**
 * Milliseconds on a clock that all processes of this host share, that cannot be set, and that
 * starts at boot.
 */
export function hostNow(): number {
  return Number(process.hrtime.bigint() / 1_000n) / 1_000;
}

let knownBootId: string | undefined;

/**
 * Identifies the host's current boot, if the system supports it; times of {@link hostNow} belong to
 * one boot.
 */
export function bootId(): string {
  knownBootId ??= readBootId();
  return knownBootId;
}

function readBootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    // Not Linux: after a reboot the clock has gone back, which also reveals it for as long as the
    // lease's age.
    return "";
  }
}
