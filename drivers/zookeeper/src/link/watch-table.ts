import type { WatchEvent } from "../wire/messages.ts";
import { addWatch, type Operation, removeWatches } from "../wire/operations.ts";

/** Receives what happens at or below a path, in the server's order. */
export type WatchListener = (event: WatchEvent) => void;

/** What a {@link WatchTable} needs of a connection. */
export interface WatchingConnection {
  send<T>(operation: Operation<T>): Promise<T>;
  setWatches(zxid: bigint, own: readonly string[], tree: readonly string[]): void;
}

interface Watched {
  readonly isTree: boolean;
  readonly listeners: Set<WatchListener>;
  /** The promise that the present connection has the watch. */
  ready: Promise<void>;
}

/**
 * The persistent watches of a session's connections, one for each path however many listen to it.
 * What happens while there is no connection is not reported, so a listener has to read again after
 * each connection.
 */
export class WatchTable {
  readonly #watched = new Map<string, Watched>();
  #connection: WatchingConnection | undefined;

  /**
   * Watches a path, and what is below it if `isTree`, until the returned function is called. All
   * that listen to a path watch it in the same way.
   */
  watch(path: string, isTree: boolean, listener: WatchListener): () => void {
    let watched = this.#watched.get(path);
    if (watched === undefined) {
      watched = { isTree, listeners: new Set(), ready: this.#add(path, isTree) };
      this.#watched.set(path, watched);
    }
    const { listeners } = watched;
    listeners.add(listener);
    return () => {
      if (!listeners.delete(listener) || listeners.size > 0) return;
      this.#watched.delete(path);
      // A watch that cannot be removed ends with its connection.
      this.#connection?.send(removeWatches(path)).catch(() => {});
    };
  }

  /**
   * Resolves when the present connection has the watch, so that a read that begins then misses
   * nothing.
   * @throws MicroError when it cannot be set, or the connection has ended.
   */
  async ready(path: string): Promise<void> {
    await this.#watched.get(path)?.ready;
  }

  /** Sets all watches on a new connection. Reads that follow them come after them. */
  restore(connection: WatchingConnection, zxid: bigint): void {
    this.#connection = connection;
    const own: string[] = [];
    const tree: string[] = [];
    for (const [path, watched] of this.#watched) {
      (watched.isTree ? tree : own).push(path);
      watched.ready = Promise.resolve();
    }
    connection.setWatches(zxid, own, tree);
  }

  lost(): void {
    this.#connection = undefined;
  }

  dispatch(event: WatchEvent): void {
    for (const [path, { listeners, isTree }] of this.#matching(event.path)) {
      if (path !== event.path && !isTree) continue;
      for (const listener of [...listeners]) listener(event);
    }
  }

  #add(path: string, isTree: boolean): Promise<void> {
    // Without a connection, the next one gets it.
    const added = this.#connection?.send(addWatch(path, isTree)) ?? Promise.resolve();
    // The error is that of whoever waits for it.
    added.catch(() => {});
    return added;
  }

  /** The watched paths at and above this one. */
  *#matching(path: string): Generator<[string, Watched]> {
    for (let at = path; ; ) {
      const watched = this.#watched.get(at);
      if (watched !== undefined) yield [at, watched];
      const slash = at.lastIndexOf("/");
      if (slash < 0 || at === "/") return;
      at = slash === 0 ? "/" : at.slice(0, slash);
    }
  }
}
