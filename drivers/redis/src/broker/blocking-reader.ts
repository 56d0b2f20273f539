import { asMicroError } from "@micro-es/runtime";
import { backoffMs, pauseUntilAborted, waitUntilAborted } from "@micro-es/runtime/driver";
import type { Argument, RedisConnection, Reply } from "../link/connection.ts";
import type { RedisLink } from "../link/link.ts";

/** Makes and receives the reads of a {@link BlockingReader}. */
export interface ReaderHost {
  /** The number of entries to read; 0 waits for {@link BlockingReader.wake}. */
  room(): number;
  /** The command with its arguments, for a number of entries. */
  command(count: number, blockMs: number): readonly [name: string, ...args: Argument[]];
  /** @param askedAt before the command was sent. */
  receive(reply: Reply, askedAt: number): void;
  /** Called after a read that the server refused. */
  restore(error: unknown): Promise<void>;
}

/** How long the server waits for an entry, in milliseconds. */
const blockMs = 2_000;
const backoff = { firstMs: 50, factor: 2, mostMs: 1_000, jitter: 0.5 };

/** Reads entries as they arrive, on a connection of its own, which it restores when it is lost. */
export class BlockingReader {
  readonly #link: RedisLink;
  readonly #host: ReaderHost;
  readonly #blockMs: number;
  readonly #closing = new AbortController();
  #connection: RedisConnection | undefined;
  /** The id of the connection on the server, while it reads. */
  #reading: number | undefined;
  #running: Promise<void> | undefined;
  #wake: (() => void) | undefined;

  /** @param mostBlockMs the longest time that the server may wait for an entry, in milliseconds. */
  constructor(link: RedisLink, host: ReaderHost, mostBlockMs: number = blockMs) {
    this.#link = link;
    this.#host = host;
    this.#blockMs = Math.max(1, Math.floor(Math.min(blockMs, mostBlockMs)));
  }

  /** Connects, and reads until it is closed. */
  async begin(): Promise<void> {
    const connection = await this.#link.another(blockMs);
    if (this.#closing.signal.aborted) {
      connection.close();
      return;
    }
    this.#running = this.#run(connection);
  }

  /** There may be room for more. */
  wake(): void {
    this.#wake?.();
  }

  /** Reads nothing further; resolves when nothing can arrive. */
  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    const id = this.#reading;
    if (id !== undefined && this.#link.connected) {
      // A user without that right waits until the server has waited.
      await this.#link.send("CLIENT", ["UNBLOCK", id], "end a read").catch(() => {});
    }
    if (!this.#link.connected) this.#connection?.close();
    await this.#running;
    this.#connection?.close();
  }

  async #run(first: RedisConnection): Promise<void> {
    const { signal } = this.#closing;
    this.#connection = first;
    for (let failures = 0; !signal.aborted && !this.#link.closed; ) {
      try {
        this.#connection ??= await this.#link.another(blockMs);
        await this.#readAll(this.#connection);
        failures = 0;
      } catch (error) {
        if (signal.aborted || this.#link.closed) return;
        if (this.#connection?.isOpen !== true) this.#connection = undefined;
        await pauseUntilAborted(backoffMs(backoff, ++failures, Math.random), signal);
        if (signal.aborted) return;
        await this.#host.restore(error).catch((reason: unknown) => asMicroError(reason));
      }
    }
  }

  async #readAll(connection: RedisConnection): Promise<void> {
    const { signal } = this.#closing;
    const id = await connection.send("CLIENT", ["ID"]);
    while (!signal.aborted) {
      const room = this.#host.room();
      if (room <= 0) {
        await waitUntilAborted(signal, (done) => {
          this.#wake = done;
          return () => {
            this.#wake = undefined;
          };
        });
        continue;
      }
      const askedAt = performance.now();
      const [name, ...args] = this.#host.command(room, this.#blockMs);
      this.#reading = Number(id);
      try {
        this.#host.receive(await connection.send(name, args), askedAt);
      } finally {
        this.#reading = undefined;
      }
    }
  }
}
