import { setTimeout as sleep } from "node:timers/promises";
import {
  asMicroError,
  type CallOptions,
  type Client,
  createClient,
  memoryRegistry,
  type Transport,
} from "@micro-es/runtime";
import {
  createGuardedServiceClient,
  type GuardedServiceClient,
} from "../../gen/micro/test/v1/guarded_micro.ts";

/** How a caller reaches its server. */
export interface Route {
  readonly transport: Transport;
  readonly address: string;
}

/** Calls a server at a steady rate as one account, and keeps a stream of it open. */
export class Caller implements AsyncDisposable {
  /** When each call was sent that succeeded; on the clock of `performance.now()`. */
  readonly succeeded: number[] = [];
  /** Codes of the calls that failed, with when they were sent. */
  readonly failed: { readonly sentAt: number; readonly code: string }[] = [];
  /** When the stream ended, and by which code; undefined while it is open. */
  streamEnd: { readonly at: number; readonly code: string } | undefined;
  readonly #client: Client;
  readonly #guarded: GuardedServiceClient;
  readonly #options: Pick<CallOptions, "address" | "metadata">;
  readonly #stop = new AbortController();
  readonly #work: Promise<unknown>[] = [];

  /** @param token undefined for an account that has a certificate */
  constructor({ transport, address }: Route, token: string | undefined, everyMs: number) {
    this.#client = createClient({ registry: memoryRegistry(), transports: [transport] });
    this.#guarded = createGuardedServiceClient(this.#client);
    const metadata = token === undefined ? {} : { authorization: `Bearer ${token}` };
    this.#options = { address, metadata };
    this.#work.push(this.#call(everyMs), this.#read());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#work);
    await this.#client.close();
  }

  async #call(everyMs: number): Promise<void> {
    const calls: Promise<void>[] = [];
    while (!this.#stop.signal.aborted) {
      calls.push(this.#callOnce());
      await sleep(everyMs);
    }
    await Promise.all(calls);
  }

  async #callOnce(): Promise<void> {
    const sentAt = performance.now();
    try {
      await this.#guarded.delete({ document: "a" }, { ...this.#options, timeoutMs: 5_000 });
      this.succeeded.push(sentAt);
    } catch (reason) {
      this.failed.push({ sentAt, code: asMicroError(reason).code });
    }
  }

  async #read(): Promise<void> {
    const { signal } = this.#stop;
    let code = "ok";
    try {
      const lines = this.#guarded.read(
        { document: "a" },
        { ...this.#options, signal, timeoutMs: Number.POSITIVE_INFINITY },
      );
      for await (const _ of lines);
    } catch (reason) {
      ({ code } = asMicroError(reason));
    }
    if (!signal.aborted) this.streamEnd = { at: performance.now(), code };
  }
}
