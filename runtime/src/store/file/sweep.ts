import { Buffer } from "node:buffer";
import type { Change, FileDatabase } from "./database.ts";
import { decodeRecord, endOfPrefix, parseExpiryKey, recordKey } from "./record.ts";

/** Records removed by one sweep; the rest wait for the next. */
const sweepStep = 500;
const index = Buffer.from("x");
const wholeIndex = { gt: index, lt: endOfPrefix(index) } as const;

/** The earliest expiry in the store, in milliseconds since 1970. */
export async function firstExpiry(database: FileDatabase): Promise<number | undefined> {
  for await (const [entry] of database.entries({ ...wholeIndex, limit: 1 })) {
    return parseExpiryKey(entry).expiresAt;
  }
  return undefined;
}

/** Removes a limited number of the records that have expired by `now`, and returns their keys. */
export async function removeExpired(
  database: FileDatabase,
  now: number,
): Promise<readonly string[]> {
  const due: Buffer[] = [];
  for await (const [entry] of database.entries({ ...wholeIndex, limit: sweepStep })) {
    if (parseExpiryKey(entry).expiresAt > now) break;
    due.push(entry);
  }
  if (due.length === 0) return [];
  const removed: string[] = [];
  const records = await database.getMany(due.map((entry) => recordKey(parseExpiryKey(entry).key)));
  const changes: Change[] = [];
  for (const [i, entry] of due.entries()) {
    const { expiresAt, key } = parseExpiryKey(entry);
    changes.push({ type: "del", key: entry });
    const record = records[i];
    // An entry may belong to a damaged record that was since replaced, and is then obsolete.
    if (record !== undefined && decodeRecord(key, record)?.expiresAt === expiresAt) {
      changes.push({ type: "del", key: recordKey(key) });
      removed.push(key.toString());
    }
  }
  await database.write(changes, database.version);
  return removed;
}
