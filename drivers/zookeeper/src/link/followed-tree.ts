import { asMicroError, type MicroError } from "@micro-es/runtime";
import { type Backoff, backoffMs, pauseUntilAborted } from "@micro-es/runtime/driver";
import { eventTypes } from "../wire/messages.ts";
import type { ZooKeeperLink } from "./link.ts";
import { isWithin, readTree, readZnodes, type TreeShape, type Znode } from "./tree.ts";

/** Least time between the beginnings of two reads, so that quick changes are read together. */
const leastGapMs = 20;
/** After a response that refuses the read. */
const refused: Backoff = { firstMs: 500, factor: 2, mostMs: 5_000, jitter: 0.3 };
/** More changes at once are read as a whole. */
const maxChanges = 1_000;

/** Receives what a {@link FollowedTree} reads. */
export interface TreeFollower {
  /** All znodes, first of all and whenever changes may have been missed. */
  snapshot(znodes: readonly Znode[]): void;
  /** A znode that was created or written; undefined if it was deleted. */
  change(path: string, znode: Znode | undefined): void;
  /** Nothing can be read now; it is retried. @param isRefused whether ZooKeeper refuses to. */
  failed(reason: MicroError, isRefused: boolean): void;
  /** A server was reached again, before what happened meanwhile is read. */
  resumed?(gapMs: number): void;
}

/**
 * The znodes at and below a path, followed until it is closed by a watch and reads of what it
 * reports. They are all read again after each connection, because nothing tells what happened
 * before it.
 */
export class FollowedTree {
  readonly #link: ZooKeeperLink;
  readonly #shape: TreeShape;
  readonly #what: string;
  readonly #follower: TreeFollower;
  readonly #isAtomic: boolean;
  readonly #ending = new AbortController();
  readonly #running: Promise<void>;
  readonly #stopWatching: () => void;
  readonly #stopListening: () => void;
  /** Paths of which something happened; undefined where all has to be read. */
  #changed: Set<string> | undefined;
  #wake: (() => void) | undefined;
  /** Ends the pause between two reads. */
  #hurry: AbortController = new AbortController();
  /** Callers that wait until what they wrote has been read. */
  #awaiting: (() => void)[] = [];
  /** Those of them that wait for the read in progress. */
  #taken: (() => void)[] = [];

  /**
   * @param what the attempted operation, for messages: "follow greeter".
   * @param options `isAtomic` reports only states that all znodes had at the same time; while they
   * change all the time, none.
   */
  constructor(
    link: ZooKeeperLink,
    shape: TreeShape,
    what: string,
    follower: TreeFollower,
    { isAtomic = false }: { readonly isAtomic?: boolean } = {},
  ) {
    this.#link = link;
    this.#shape = shape;
    this.#what = what;
    this.#follower = follower;
    this.#isAtomic = isAtomic;
    this.#stopWatching = link.watches.watch(shape.root, shape.depth > 0, ({ type, path }) => {
      if (type !== eventTypes.children && isWithin(shape, path)) this.#take(path);
    });
    this.#stopListening = link.onReconnect((_isNew, gapMs) => {
      follower.resumed?.(gapMs);
      this.#changed = undefined;
      this.#wake?.();
    });
    // The follower may not be complete yet.
    this.#running = Promise.resolve().then(() => this.#run());
  }

  /** Reads a znode that this process has written; resolves when that is reported, or cannot be. */
  async refresh(path: string): Promise<void> {
    if (this.#ending.signal.aborted || this.#changed === undefined) return;
    await new Promise<void>((resolve) => {
      this.#awaiting.push(resolve);
      this.#take(path);
      this.#hurry.abort();
    });
  }

  async close(): Promise<void> {
    this.#stopWatching();
    this.#stopListening();
    this.#ending.abort();
    this.#release(this.#awaiting);
    this.#wake?.();
    await this.#running;
  }

  #take(path: string): void {
    this.#changed?.add(path);
    if (this.#changed !== undefined && this.#changed.size > maxChanges) this.#changed = undefined;
    this.#wake?.();
  }

  async #run(): Promise<void> {
    const { signal } = this.#ending;
    let failures = 0;
    while (!signal.aborted) {
      const began = performance.now();
      try {
        await this.#read(signal);
        failures = 0;
        await this.#untilChanged(signal);
        const leftMs = began + leastGapMs - performance.now();
        if (leftMs > 0) await pauseUntilAborted(leftMs, [signal, this.#hurry.signal]);
        if (this.#hurry.signal.aborted) this.#hurry = new AbortController();
      } catch (error) {
        this.#release(this.#awaiting);
        this.#release(this.#taken);
        if (signal.aborted) return;
        this.#changed = undefined;
        const isRefused = this.#link.connected;
        this.#follower.failed(asMicroError(error, "unavailable"), isRefused);
        if (isRefused) await pauseUntilAborted(backoffMs(refused, ++failures, Math.random), signal);
        else await this.#link.untilConnected(signal);
      }
    }
  }

  /** Reads what happened; if it is atomic, until nothing more has happened meanwhile. */
  async #read(signal: AbortSignal): Promise<void> {
    const link = this.#link;
    await link.open(signal);
    let changes: Map<string, Znode | undefined> | undefined;
    let snapshot: readonly Znode[] | undefined;
    this.#taken = [];
    const awaiting = this.#taken;
    do {
      awaiting.push(...this.#awaiting.splice(0));
      if (this.#changed === undefined) {
        await link.watches.ready(this.#shape.root);
        this.#changed = new Set();
        changes = undefined;
        snapshot = await readTree(link, this.#shape, this.#what, signal);
      } else {
        const paths = [...this.#changed];
        this.#changed.clear();
        changes ??= new Map();
        const found = await readZnodes(link, paths, this.#what, signal);
        for (const [index, path] of paths.entries()) changes.set(path, found[index]);
      }
      if (signal.aborted) return this.#release(awaiting);
      // A new connection meanwhile missed what happened before it.
    } while (this.#changed === undefined || (this.#isAtomic && this.#changed.size > 0));
    if (snapshot !== undefined) this.#follower.snapshot(merged(snapshot, changes));
    else for (const [path, znode] of changes ?? []) this.#follower.change(path, znode);
    this.#release(awaiting);
  }

  #release(awaiting: (() => void)[]): void {
    for (const resolve of awaiting.splice(0)) resolve();
  }

  async #untilChanged(signal: AbortSignal): Promise<void> {
    while (!signal.aborted && this.#changed?.size === 0) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
  }
}

function merged(
  snapshot: readonly Znode[],
  changes: ReadonlyMap<string, Znode | undefined> | undefined,
): readonly Znode[] {
  if (changes === undefined) return snapshot;
  const znodes = new Map(snapshot.map((znode) => [znode.path, znode]));
  for (const [path, znode] of changes) {
    if (znode === undefined) znodes.delete(path);
    else znodes.set(path, znode);
  }
  return [...znodes.values()];
}
