/**
 * The minimum rate at which a message or frame must arrive once its first seconds are over, in
 * bytes per second: 4 MiB take four minutes. Mobile networks are faster.
 */
export const minBytesPerSecond: number = 16 * 1024;

/** Returns the time that this many bytes may take, in milliseconds. */
export function slowestMs(bytes: number): number {
  return (bytes * 1_000) / minBytesPerSecond;
}
