import type { Buffer } from "node:buffer";
import { mkdir, readFile, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { ClassicLevel } from "classic-level";
import { monotonicNow } from "../../base/deadline.ts";
import { MicroError } from "../../base/error.ts";
import { createFile, syncDirectory, temporaryName } from "../../base/files.ts";
import { quoteKey, requireOpen } from "../validate-write.ts";
import { closeToOthers, requireClosable } from "./private-directory.ts";
import { counterKey, encodeCounter } from "./record.ts";
import { readState, writeState } from "./state.ts";

/** The amount of LevelDB's log that is read again at the next opening, at most twice; in bytes. */
const writeBufferSize = 2 * 1024 * 1024;
/** Time between two attempts to write to a disk that was full, in milliseconds. */
const probeEveryMs = 1000;

type Level = ClassicLevel<Buffer, Buffer>;

/** One change of a database; several are written atomically. */
export type Change =
  | { readonly type: "put"; readonly key: Buffer; readonly value: Buffer }
  | { readonly type: "del"; readonly key: Buffer };

/** A range of keys; the upper end is exclusive. */
export type Range = ({ readonly gte: Buffer } | { readonly gt: Buffer }) & {
  readonly lt: Buffer;
  readonly limit?: number;
  readonly signal?: AbortSignal;
};

/** Where a database is and how it is opened. */
export interface DatabaseOptions {
  readonly path: string;
  /**
   * Whether a change is on disk, and not only in the operating system's cache, when its promise
   * resolves.
   */
  readonly sync: boolean;
  readonly repair: boolean;
}

/**
 * The LevelDB database below a file store, opened on first use. It translates errors into the
 * runtime's, checks that nothing was lost since it was closed, and reopens after a failed write.
 */
export class FileDatabase {
  readonly #options: DatabaseOptions;
  #level: Level | undefined;
  #opening: Promise<Level> | undefined;
  /**
   * A write failed, so the content at the end of LevelDB's log is uncertain until it is reopened.
   */
  #uncertain = false;
  #probedAt = Number.NEGATIVE_INFINITY;
  #version = 0n;
  #wasOpen = false;
  #closed = false;
  readonly #onOpen: (failure: MicroError | undefined) => void;

  /**
   * @param onOpen is called when the database was opened for the first time, and before that with
   * each failure to open it.
   */
  constructor(options: DatabaseOptions, onOpen: (failure: MicroError | undefined) => void) {
    this.#options = options;
    this.#onOpen = onOpen;
  }

  /**
   * Resolves when the database is open. Creates it if there is none.
   * @throws MicroError `failed_precondition` when another process or store has it open, when the
   * library is not installed, or when the directory holds something else; `data_loss` when it is
   * damaged; `resource_exhausted` when the disk is full; `unavailable` for other failures of the
   * file system.
   */
  async ready(): Promise<void> {
    await this.#opened();
  }

  /** The highest version ever assigned; known once the database is open. */
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

  /** The entries of a range, from a snapshot taken now. */
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

  /** Writes changes and the highest assigned version atomically. */
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

  /** Closes the database, with everything on disk. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#opening?.catch(() => {});
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
    return this.#opening ?? this.#level ?? (this.#wasOpen ? this.#reopen() : this.#begin());
  }

  #begin(): Promise<Level> {
    this.#opening ??= (async () => {
      try {
        this.#level = await this.#open(this.#options.repair);
        this.#wasOpen = true;
        this.#onOpen(undefined);
        return this.#level;
      } catch (error) {
        const failure = explain(error, "open", this.#options.path);
        this.#onOpen(failure);
        throw failure;
      } finally {
        this.#opening = undefined;
      }
    })();
    return this.#opening;
  }

  #reopen(): Promise<Level> {
    this.#opening ??= (async () => {
      try {
        // While the disk is full, the open database still serves reads; after reopening it would
        // not.
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
        this.#opening = undefined;
      }
    })();
    return this.#opening;
  }

  /** Fails while there is no room for the data written when the database is reopened. */
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
    const file = temporaryName(join(path, "micro-store.probe"));
    await createFile(file, new Uint8Array(2 * writeBufferSize + 1024 * 1024), { durable: true });
    await unlink(file);
  }

  async #open(repair: boolean): Promise<Level> {
    const { path } = this.#options;
    const { ClassicLevel } = await load();
    let level: Level | undefined;
    try {
      await makeDirectory(path);
      await requireClosable(path);
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
      await closeToOthers(path);
      await this.#mark(level);
      return level;
    } catch (error) {
      await level?.close();
      throw innermost(error).code === "LEVEL_LOCKED"
        ? await locked(path, error)
        : explain(error, "open", path);
    }
  }

  /** Finds losses that LevelDB does not report, and returns the highest version assigned. */
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

  /** Records the version that is certainly on disk, and the process that has the store open. */
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

/**
 * The report in LevelDB's own log of the bytes it dropped while opening; it does not report them
 * elsewhere.
 */
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
    `cannot open the store ${path}: it is open already${by}, and one store at a time may have it; share that one, or stop the process that has it open`,
    { cause, outcome: "not-executed" },
  );
}

/**
 * Converts an error of the library or the file system into one that names the store and the fix.
 */
function explain(error: unknown, action: "open" | "read" | "write", path: string): MicroError {
  if (error instanceof MicroError) return error;
  const { code, message } = innermost(error);
  const outcome = action === "write" ? "unknown" : "not-executed";
  const options = { cause: error, outcome } as const;
  const what = `cannot ${action} the store ${path}`;
  // LevelDB reports a missing or truncated file as an error of the file system.
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
