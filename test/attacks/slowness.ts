import { createHash } from "node:crypto";

/**
 * CPU time of {@link referenceWork} on the machine whose figures docs/security.md shows, in
 * milliseconds.
 */
const referenceMs = 17;

/**
 * How many times slower this machine computes at the moment than the one that the bounds of attacks
 * were chosen on; 1 where it is as fast or faster. Processors differ, and cores that are shared
 * with other work take more CPU time for the same instructions.
 */
export function slowness(): number {
  const times = Array.from({ length: 5 }, () => {
    const before = process.cpuUsage();
    referenceWork();
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1_000;
  });
  const median = times.sort((one, other) => one - other)[2] ?? referenceMs;
  return Math.max(1, median / referenceMs);
}

/** Hashes, parses, writes JSON and fills a map, as services do. */
function referenceWork(): void {
  const hash = createHash("sha256");
  const block = Buffer.alloc(1024 * 1024, 7);
  for (let round = 0; round < 8; round++) hash.update(block);
  hash.digest();
  const list = Array.from({ length: 200 }, (_, index) => ({ index, text: `text ${index}` }));
  for (let round = 0; round < 60; round++) JSON.parse(JSON.stringify(list));
  const map = new Map<string, number>();
  for (let index = 0; index < 60_000; index++) map.set(`key${index % 5_000}`, index);
}
