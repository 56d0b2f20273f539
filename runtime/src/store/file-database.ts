import type { Buffer } from "node:buffer";
import { mkdir, open, readFile, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { ClassicLevel } from "classic-level";
import { monotonicNow } from "../deadline.ts";
import { MicroError } from "../error.ts";
import { counterKey, encodeCounter } from "./file-record.ts";
import { readState, syncDirectory, writeState } from "./file-state.ts";
import { quoteKey, requireOpen } from "./write.ts";

/** How much of LevelDB's log is read again at the next opening, at most twice; in bytes. */
const writeBufferSize = 2 * 1024 * 1024;
/** Time between two attempts to write to a disk that was full, in milliseconds. */
const probeEveryMs = 1000;

type Level = ClassicLevel<Buffer, Buffer>;

/** One change of a database; several are written all or none. */
export type Change =
  | { readonly type: "put"; readonly key: Buffer; readonly value: Buffer }
  | { readonly type: "del"; readonly key: Buffer };

/** A range of keys; the upper end does not belong to it. */
export type Range = ({ readonly gte: Buffer } | { readonly gt: Buffer }) & {
  readonly lt: Buffer;
  readonly limit?: number;
  readonly signal?: AbortSignal;
};

/** Where a database is and how it is opened. */
export interface DatabaseOptions {
  readonly path: string;
  /** Whether a change is on the disk, and not only with the operating system, when its promise resolves. */
  readonly sync: boolean;
  readonly repair: boolean;
}

/**
 * The LevelDB database below a file store: its errors in the runtime's words, the check that nothing was lost
 * since it was closed, and its reopening after a write that failed.
 */
export class FileDatabase {
  readonly #options: DatabaseOptions;
  #level: Level | undefined;
  #reopening: Promise<Level> | undefined;
  /** A write failed, so what the end of LevelDB's log holds is uncertain until it is opened again. */
  #uncertain = false;
  #probedAt = Number.NEGATIVE_INFINITY;
  #version = 0n;
  #closed = false;

  private constructor(options: DatabaseOptions) {
    this.#options = options;
  }

  /**
   * Opens the database, or makes one where there is none.
   * @throws MicroError `failed_precondition` when another process or store has it open, when the library is
   * not installed, or when the directory holds something else; `data_loss` when it is damaged;
   * `resource_exhausted` when the disk is full; `unavailable` for other failures of the file system.
   */
  static async open(options: DatabaseOptions): Promise<FileDatabase> {
    const database = new FileDatabase(options);
    database.#level = await database.#open(options.repair);
    return database;
  }

  /** The highest version that was ever given out. */
  get version(): bigint {
    return this.#version;
  }

  /** The error of a record whose bytes are not those that were written. */
  damagedRecord(key: string): MicroError {
    return new MicroError(
      "data_loss",
      `the record of key ${quoteKey(key)} in the store ${this.#options.path} is damaged; write or delete it, or restore the directory from a backup`,
    );
  }

  async get(key: Buffer): Promise<Buffer | undefined> {
    return this.#run("read", async (level) => level.get(key));
  }

  async getMany(keys: Buffer[]): Promise<(Buffer | undefined)[]> {
    return this.#run("read", async (level) => level.getMany(keys));
  }

  /** The entries of a range, from a snapshot of this moment. */
  async *entries(range: Range): AsyncGenerator<[Buffer, Buffer], void, undefined> {
    const iterator = (await this.#opened()).iterator(range);
    try {
      for (;;) {
        const entry = await iterator.next();
        if (entry === undefined) return;
        yield entry;
      }
    } catch (error) {
      throw explain(error, "read", this.#options.path);
    } finally {
      await iterator.close();
    }
  }

  /** Writes changes and the highest version given out, all or none. */
  async write(changes: readonly Change[], version: bigint): Promise<void> {
    if (this.#uncertain) await this.#reopen();
    this.#version = version;
    const counter: Change = { type: "put", key: counterKey, value: encodeCounter(version) };
    await this.#run("write", async (level) => {
      try {
        await level.batch([...changes, counter], { sync: this.#options.sync });
      } catch (error) {
        this.#uncertain = true;
        throw error;
      }
    });
  }

  /** Closes the database, with everything on the disk. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#reopening?.catch(() => {});
    const level = this.#level;
    this.#level = undefined;
    if (level === undefined) return;
    try {
      if (!this.#uncertain) await this.#mark(level);
    } catch (error) {
      throw explain(error, "write", this.#options.path);
    } finally {
      await level.close();
    }
  }

  async #run<T>(action: "read" | "write", use: (level: Level) => Promise<T>): Promise<T> {
    try {
      return await use(await this.#opened());
    } catch (error) {
      throw explain(error, action, this.#options.path);
    }
  }

  async #opened(): Promise<Level> {
    requireOpen(this.#closed, `use the store ${this.#options.path}`);
    return this.#reopening ?? this.#level ?? this.#reopen();
  }

  #reopen(): Promise<Level> {
    this.#reopening ??= (async () => {
      try {
        // While the disk is full, the open database still answers reads; opened again it would not.
        if (this.#level !== undefined) await this.#probe();
        const level = this.#level;
        this.#level = undefined;
        await level?.close();
        this.#level = await this.#open(false);
        this.#uncertain = false;
        return this.#level;
      } catch (error) {
        throw explain(error, "write", this.#options.path);
      } finally {
        this.#reopening = undefined;
      }
    })();
    return this.#reopening;
  }

  /** Fails while there is no room for what opening the database again would write. */
  async #probe(): Promise<void> {
    const { path } = this.#options;
    if (monotonicNow() < this.#probedAt + probeEveryMs) {
      throw new MicroError(
        "resource_exhausted",
        `cannot write the store ${path}: an earlier write failed, and the disk is asked again every ${probeEveryMs} ms`,
        { outcome: "not-executed", retryAfterMs: probeEveryMs },
      );
    }
    this.#probedAt = monotonicNow();
    const file = join(path, "micro-store.probe");
    const handle = await open(file, "w", 0o600);
    try {
      await handle.writeFile(new Uint8Array(2 * writeBufferSize + 1024 * 1024));
      await handle.sync();
    } finally {
      await handle.close();
      await unlink(file);
    }
  }

  async #open(repair: boolean): Promise<Level> {
    const { path } = this.#options;
    const { ClassicLevel } = await load();
    let level: Level | undefined;
    try {
      await makeDirectory(path);
      if (repair) await ClassicLevel.repair(path);
      const state = await readState(path).catch((error) => {
        if (repair && error instanceof MicroError && error.code === "data_loss") return undefined;
        throw error;
      });
      if (!repair && state?.damage !== undefined) throw damaged(path, state.damage);
      level = new ClassicLevel<Buffer, Buffer>(path, {
        keyEncoding: "buffer",
        valueEncoding: "buffer",
        writeBufferSize,
        createIfMissing: state === undefined || repair,
      });
      await level.open();
      const version = await this.#verify(level, BigInt(state?.version ?? 0), repair);
      if (version > this.#version) this.#version = version;
      await this.#mark(level);
      return level;
    } catch (error) {
      await level?.close();
      throw innermost(error).code === "LEVEL_LOCKED"
        ? await locked(path, error)
        : explain(error, "open", path);
    }
  }

  /** Finds what LevelDB passes over in silence, and returns the highest version given out. */
  async #verify(level: Level, least: bigint, repair: boolean): Promise<bigint> {
    const { path } = this.#options;
    const counter = await level.get(counterKey);
    if (counter === undefined && (await level.keys({ limit: 1 }).all()).length > 0 && !repair) {
      throw new MicroError(
        "failed_precondition",
        `cannot open the store ${path}: the directory holds a database of something else; choose another path`,
      );
    }
    const version = counter?.length === 8 ? counter.readBigUInt64BE() : 0n;
    if (repair) return version > least ? version : least;
    const dropped = await droppedBytes(path);
    const damage =
      dropped ??
      (version < least ? `version ${least} was written, and the last one left is ${version}` : "");
    if (damage !== "") {
      await writeState(path, least, damage);
      throw damaged(path, damage);
    }
    return version;
  }

  /** Notes the version that is surely on the disk, and who has the store open. */
  async #mark(level: Level): Promise<void> {
    await level.put(counterKey, encodeCounter(this.#version), { sync: true });
    await writeState(this.#options.path, this.#version);
  }
}

async function load(): Promise<typeof import("classic-level")> {
  try {
    return await import("classic-level");
  } catch (error) {
    throw new MicroError(
      "failed_precondition",
      "the file store needs the package classic-level, which could not be loaded: npm install classic-level@3",
      { cause: error, outcome: "not-executed" },
    );
  }
}

async function makeDirectory(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode: 0o700 });
  if (first === undefined) return;
  for (let made = path; made.length >= first.length; made = dirname(made)) {
    await syncDirectory(dirname(made));
  }
}

/** What LevelDB's own log says that it dropped when it was opened; it reports that nowhere else. */
async function droppedBytes(path: string): Promise<string | undefined> {
  const log = await readFile(join(path, "LOG"), "utf8").catch(() => "");
  const line = log.split("\n").find((text) => /: dropping \d+ bytes; /.test(text));
  return line?.replace(/^\S+ \S+ /, "").replace("(ignoring error) ", "");
}

function damaged(path: string, damage: string): MicroError {
  return new MicroError(
    "data_loss",
    `cannot open the store ${path}: ${damage}; restore the directory from a backup, or open it with repair to keep what is left`,
  );
}

async function locked(path: string, cause: unknown): Promise<MicroError> {
  const holder = (await readState(path).catch(() => undefined))?.holder;
  const by =
    holder === undefined ? "" : ` by process ${holder.pid} on ${holder.host} since ${holder.since}`;
  return new MicroError(
    "failed_precondition",
    `cannot open the store ${path}: it is open already${by}, and one store at a time may have it; share that one, close it, or choose another path`,
    { cause, outcome: "not-executed" },
  );
}

/** What the library or the file system threw, as an error that names the store and the remedy. */
function explain(error: unknown, action: "open" | "read" | "write", path: string): MicroError {
  if (error instanceof MicroError) return error;
  const { code, message } = innermost(error);
  const outcome = action === "write" ? "unknown" : "not-executed";
  const options = { cause: error, outcome } as const;
  const what = `cannot ${action} the store ${path}`;
  // A file that is gone or too short is an error of the file system to LevelDB.
  const broken = /does not exist \(create_if_missing|No such file|Invalid argument/.test(message);
  if (code === "LEVEL_CORRUPTION" || (code?.startsWith("LEVEL") !== false && broken)) {
    return new MicroError(
      "data_loss",
      `${what}: ${message}; restore the directory from a backup, or open it with repair to keep what is left`,
      options,
    );
  }
  if (code === "ENOSPC" || code === "EDQUOT" || /No space left|quota exceeded/i.test(message)) {
    return new MicroError("resource_exhausted", `${what}: the disk is full: ${message}`, options);
  }
  if (code === "LEVEL_DATABASE_NOT_OPEN" || code === "LEVEL_ITERATOR_NOT_OPEN") {
    return new MicroError("unavailable", `${what}: it was closed meanwhile`, options);
  }
  return new MicroError("unavailable", `${what}: ${message}`, options);
}

function innermost(error: unknown): { code: string | undefined; message: string } {
  let inner = error as NodeJS.ErrnoException;
  while (inner instanceof Error && inner.cause instanceof Error) inner = inner.cause;
  return { code: inner?.code, message: inner?.message ?? String(error) };
}
