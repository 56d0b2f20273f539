import { createHash, randomUUID } from "node:crypto";
import { link, mkdir, open, readdir, readFile, unlink } from "node:fs/promises";
import { join } from "node:path";
import { MicroError } from "../error.ts";

/*
 * Each key has a directory, and in it a file for each state that its lease was in, named by a sequence number. The
 * file with the highest number is the state. A new one is linked under the next number, which fails when somebody
 * else was faster; so every change is a compare-and-set without any lock. Lower numbers are removed.
 */

/** One state of a lease. */
export interface LeaseState {
  readonly key: string;
  readonly sequence: bigint;
  readonly owner: string;
  readonly token: bigint;
  readonly value: string;
  /** On the host's clock. */
  readonly grantedAt: number;
  /** When it was taken, in milliseconds since 1970; for people to read. */
  readonly takenAt: number;
  readonly ttlMs: number;
  readonly boot: string;
}

const digits = 20;
const stateFile = /^\d{20}$/;
const keyDirectory = /^[0-9a-f]{64}$/;

/** The state of a key; undefined when it never had one. */
export function readLease(root: string, key: string): Promise<LeaseState | undefined> {
  return readState(directoryOf(root, key), key);
}

/** The states of all keys, those whose leases have ended included. */
export async function readLeases(root: string): Promise<readonly LeaseState[]> {
  const names = (await readdir(root).catch(absent)) ?? [];
  const states = await Promise.all(
    names.filter((name) => keyDirectory.test(name)).map((name) => readState(join(root, name))),
  );
  return states.filter((state) => state !== undefined);
}

/** @param key what the state has to be of; any when absent. */
async function readState(directory: string, key?: string): Promise<LeaseState | undefined> {
  for (;;) {
    const highest = (await stateFiles(directory)).at(-1);
    if (highest === undefined) return undefined;
    const text = await readFile(join(directory, highest), "utf8").catch(absent);
    // Removed meanwhile, so there is a higher one.
    if (text !== undefined) return parse(text, key, BigInt(highest), join(directory, highest));
  }
}

/** Makes a state the key's, if its sequence number is the next; false when it is taken. */
export async function replaceLease(
  root: string,
  state: LeaseState,
  durable: boolean,
): Promise<boolean> {
  const directory = directoryOf(root, state.key);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const name = state.sequence.toString().padStart(digits, "0");
  const temporary = join(directory, `${randomUUID()}.new`);
  try {
    const handle = await open(temporary, "wx", 0o600);
    try {
      await handle.writeFile(
        JSON.stringify({ ...state, token: `${state.token}`, sequence: undefined }),
      );
      if (durable) await handle.sync();
    } finally {
      await handle.close();
    }
    const linked = await link(temporary, join(directory, name)).then(() => true, taken);
    if (!linked) return false;
  } finally {
    await unlink(temporary).catch(absent);
  }
  if (durable) await syncDirectory(directory);
  // Others may have gone on and removed this number before it was linked; then it means nothing.
  const files = await stateFiles(directory);
  const current = files.at(-1) === name;
  for (const file of files.slice(0, -1)) await unlink(join(directory, file)).catch(absent);
  return current;
}

function directoryOf(root: string, key: string): string {
  return join(root, createHash("sha256").update(key).digest("hex"));
}

async function stateFiles(directory: string): Promise<string[]> {
  const files = (await readdir(directory).catch(absent)) ?? [];
  return files.filter((file) => stateFile.test(file)).sort();
}

function parse(
  text: string,
  wanted: string | undefined,
  sequence: bigint,
  path: string,
): LeaseState {
  try {
    const found = JSON.parse(text) as Record<string, unknown>;
    const { key, owner, token, value, grantedAt, takenAt, ttlMs, boot } = found;
    if (
      typeof key === "string" &&
      key === (wanted ?? key) &&
      typeof owner === "string" &&
      typeof token === "string" &&
      typeof value === "string" &&
      typeof grantedAt === "number" &&
      typeof takenAt === "number" &&
      typeof ttlMs === "number" &&
      typeof boot === "string"
    ) {
      const times = { grantedAt, takenAt, ttlMs };
      return { key, sequence, owner, token: BigInt(token), value, ...times, boot };
    }
  } catch {
    // Said below.
  }
  const holds = wanted === undefined ? "it is nobody's" : `nobody holds ${wanted}`;
  throw new MicroError("data_loss", `${path} is not a lease; delete it when ${holds}`);
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function absent(error: NodeJS.ErrnoException): undefined {
  if (error.code !== "ENOENT") throw error;
  return undefined;
}

function taken(error: NodeJS.ErrnoException): false {
  if (error.code !== "EEXIST") throw error;
  return false;
}
