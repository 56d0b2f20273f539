import { createHash } from "node:crypto";
import { link, readdir, readFile, unlink } from "node:fs/promises";
import { join } from "node:path";
import { MicroError } from "../../base/error.ts";
import { createFile, makeOwnDirectory, syncDirectory, temporaryName } from "../../base/files.ts";

/*
 * A key belongs to one of a fixed number of buckets, so disk usage does not grow with the number of
 * keys ever used. A bucket is a directory with one file for each of its states, named by a sequence
 * number. The file with the highest number is the current state: the held leases. A new state is
 * linked under the next number, which fails if another process was faster; so every change is a
 * compare-and-set without a lock. Lower numbers are removed. Numbers are never reused, so a lease
 * whose token is the number of its state has a token that was never used before.
 */

/** A lease in a bucket. */
export interface FileLease {
  readonly key: string;
  readonly owner: string;
  readonly token: bigint;
  readonly value: string;
  /** On the host's clock. */
  readonly grantedAt: number;
  /** When it was taken, in milliseconds since 1970; for humans. */
  readonly takenAt: number;
  readonly ttlMs: number;
  readonly boot: string;
}

/** One state of a bucket. */
export interface Bucket {
  /** 0 before the first state. */
  readonly sequence: bigint;
  /** Includes leases that have ended, until the next change. */
  readonly leases: readonly FileLease[];
}

/** Few, because a list reads them all; enough that changes of different keys rarely conflict. */
const bucketCount = 64;
const digits = 20;
const stateFile = /^\d{20}$/;
const bucketName = /^bucket-\d{2}$/;

/** The state of the bucket that a key belongs to. */
export function readBucket(root: string, key: string): Promise<Bucket> {
  return readState(directoryOf(root, key));
}

/** The states of all buckets. */
export async function readBuckets(root: string): Promise<readonly Bucket[]> {
  const names = (await readdir(root).catch(absent)) ?? [];
  return Promise.all(
    names.filter((name) => bucketName.test(name)).map((name) => readState(join(root, name))),
  );
}

/**
 * Makes `bucket` the state of a key's bucket, if its sequence number is the next. False if the
 * number is taken, or if other processes have continued since; then it is unknown whether it was
 * the state for a moment.
 */
export async function replaceBucket(
  root: string,
  key: string,
  { sequence, leases }: Bucket,
  durable: boolean,
): Promise<boolean> {
  const directory = directoryOf(root, key);
  await makeOwnDirectory(directory);
  const name = sequence.toString().padStart(digits, "0");
  const temporary = temporaryName(join(directory, name));
  const text = JSON.stringify(leases.map((lease) => ({ ...lease, token: `${lease.token}` })));
  try {
    await createFile(temporary, text, { durable });
    const linked = await link(temporary, join(directory, name)).then(() => true, taken);
    if (!linked) return false;
  } finally {
    await unlink(temporary).catch(absent);
  }
  if (durable) await syncDirectory(directory);
  // Other processes may have continued and removed this number before it was linked; then it has no
  // effect.
  const files = await stateFiles(directory);
  const current = files.at(-1) === name;
  for (const file of files.slice(0, -1)) await unlink(join(directory, file)).catch(absent);
  return current;
}

async function readState(directory: string): Promise<Bucket> {
  for (;;) {
    const highest = (await stateFiles(directory)).at(-1);
    if (highest === undefined) return { sequence: 0n, leases: [] };
    const path = join(directory, highest);
    const text = await readFile(path, "utf8").catch(absent);
    // It was removed meanwhile, so there is a higher one.
    if (text !== undefined) return { sequence: BigInt(highest), leases: parse(text, path) };
  }
}

function directoryOf(root: string, key: string): string {
  const bucket = createHash("sha256").update(key).digest().readUInt16BE() % bucketCount;
  return join(root, `bucket-${bucket.toString().padStart(2, "0")}`);
}

async function stateFiles(directory: string): Promise<string[]> {
  const files = (await readdir(directory).catch(absent)) ?? [];
  return files.filter((file) => stateFile.test(file)).sort();
}

function parse(text: string, path: string): FileLease[] {
  // A file is linked after it is written, so only a power failure leaves one without its contents.
  // The power failure also ended all leases.
  if (text.replaceAll("\0", "") === "") return [];
  try {
    const found: unknown = JSON.parse(text);
    if (Array.isArray(found)) return found.map((lease: unknown) => toLease(lease));
  } catch {
    // The error below reports it.
  }
  throw new MicroError(
    "data_loss",
    `${path} is not a state of leases; delete it when no process holds a lock or leads through this directory`,
  );
}

/** @throws Error when it is not a lease. */
function toLease(found: unknown): FileLease {
  const { key, owner, token, value, grantedAt, takenAt, ttlMs, boot } = found as Record<
    string,
    unknown
  >;
  if (
    typeof key === "string" &&
    typeof owner === "string" &&
    typeof token === "string" &&
    typeof value === "string" &&
    typeof grantedAt === "number" &&
    typeof takenAt === "number" &&
    typeof ttlMs === "number" &&
    typeof boot === "string"
  ) {
    return { key, owner, token: BigInt(token), value, grantedAt, takenAt, ttlMs, boot };
  }
  throw new Error("not a lease");
}

function absent(error: NodeJS.ErrnoException): undefined {
  if (error.code !== "ENOENT") throw error;
  return undefined;
}

function taken(error: NodeJS.ErrnoException): false {
  if (error.code !== "EEXIST") throw error;
  return false;
}
