import { setTimeout as sleep } from "node:timers/promises";
import type { Figure, Length } from "../figure.ts";
import { until } from "../until.ts";
import { type Records, recordsAt, type StartStoreServer, type StoreServer } from "./server.ts";

const value = Buffer.from("v");
const hourMs = 3_600_000;

/** Records expire while the server restarts; then the clock is set. */
export async function recordsExpire(
  startServer: StartStoreServer,
  length: Length,
): Promise<Figure> {
  const count = length === "long" ? 10_000 : 1_000;
  await using server = await startServer();
  await using writer = recordsAt(server.url);
  await using reader = recordsAt(server.url);
  const expiresAt = new Map<string, number>();
  const write = async (index: number) => {
    const key = `key/${index}`;
    const ttlMs = 3_000 + Math.random() * 3_000;
    await writer.write(key, value, { ttlMs });
    expiresAt.set(key, (await writer.read(key))?.expiresAt?.getTime() ?? 0);
  };
  for (let at = 0; at < count; at += 50) {
    await Promise.all(Array.from({ length: 50 }, (_, index) => write(at + index)));
  }
  await writer.write("long", value, { ttlMs: 60 * 24 * hourMs });
  await server.kill();
  await server.start();
  await until(async () => (await reader.read("long")) !== undefined, 10_000);
  let [tooLong, early] = [0, 0];
  const last = Math.max(...expiresAt.values());
  while (Date.now() < last) {
    const keys = [...expiresAt.keys()].filter(() => Math.random() < 50 / count);
    for (const key of keys) {
      const due = expiresAt.get(key) ?? 0;
      const asked = Date.now();
      const found = await reader.read(key);
      if (found !== undefined && asked >= due) tooLong++;
      if (found === undefined && Date.now() < due) early++;
    }
    await sleep(5);
  }
  const evictedAfter = await untilEmpty(server, last);
  const [revived, kept] = await withClock(reader, writer);
  return {
    id: "T6",
    recipe: `${count} records that expire, the server killed meanwhile, then the clock set back and forward by an hour`,
    found: `${tooLong} read after they had expired, ${early} missing before, the last gone from the server ${Math.round(evictedAfter)} ms after it expired, ${revived} revived by the clock, one of 60 days ${kept ? "kept" : "lost"}`,
    bound: `0, 0, at most ${server.keepsExpiredMs} ms, 0, kept`,
    holds:
      tooLong === 0 &&
      early === 0 &&
      evictedAfter <= server.keepsExpiredMs &&
      revived === 0 &&
      kept,
  };
}

/** How long after a time the server no longer has expiring records, in milliseconds. */
async function untilEmpty(server: StoreServer, since: number): Promise<number> {
  await until(async () => !(await server.hasKeys()), server.keepsExpiredMs + 20_000);
  return Date.now() - since;
}

/**
 * The effect of the wall clock on expiry: how many records come back, and whether one of 60 days is
 * still there.
 */
async function withClock(
  reader: Records,
  writer: Records,
): Promise<[revived: number, kept: boolean]> {
  const realNow = Date.now;
  let revived = 0;
  try {
    await writer.write("key/soon", value, { ttlMs: 50 });
    await until(async () => (await reader.read("key/soon")) === undefined, 5_000);
    Date.now = () => realNow() - hourMs;
    if ((await reader.read("key/soon")) !== undefined) revived++;
    await writer.write("key/half", value, { ttlMs: hourMs / 2 });
    // Expiry follows the clock forward immediately.
    Date.now = () => realNow() + hourMs;
    if ((await reader.read("key/half")) !== undefined) revived++;
    return [revived, (await reader.read("long")) !== undefined];
  } finally {
    Date.now = realNow;
  }
}
