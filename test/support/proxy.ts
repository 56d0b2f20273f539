import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";

/**
 * A TCP proxy that injects network faults: it cuts connections with a reset, or drops their traffic
 * while both ends consider them open.
 */
export class FaultProxy implements AsyncDisposable {
  readonly #server: Server;
  /** The open connections, with when each was accepted. */
  readonly #pairs = new Map<readonly [Socket, Socket], number>();
  readonly #frozen = new WeakSet<readonly [Socket, Socket]>();
  #swallowing: "nothing" | "responses" | "everything" = "nothing";
  #refusing = false;
  /** Connections cut so far. */
  cuts = 0;
  /** Connections accepted so far. */
  accepted = 0;
  /** Bytes dropped so far. */
  swallowed = 0;

  private constructor(targetPort: number) {
    this.#server = createServer((from) => {
      if (this.#refusing) {
        from.resetAndDestroy();
        return;
      }
      this.accepted++;
      const to = connect(targetPort, "127.0.0.1");
      const pair = [from, to] as const;
      this.#pairs.set(pair, performance.now());
      const end = () => {
        this.#pairs.delete(pair);
        from.destroy();
        to.destroy();
      };
      for (const [here, there] of [pair, [to, from] as const]) {
        here.on("data", (bytes) => {
          const isResponse = here === to;
          if (
            this.#frozen.has(pair) ||
            this.#swallowing === "everything" ||
            (this.#swallowing === "responses" && isResponse)
          ) {
            this.swallowed += bytes.length;
            return;
          }
          if (!there.write(bytes)) {
            here.pause();
            there.once("drain", () => here.resume());
          }
        });
        here.on("error", end);
        here.on("close", end);
      }
    });
  }

  /** @param port where it listens. Default: a free port. */
  static async start(targetPort: number, port = 0): Promise<FaultProxy> {
    const proxy = new FaultProxy(targetPort);
    proxy.#server.listen(port, "127.0.0.1");
    await once(proxy.#server, "listening");
    return proxy;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  }

  /** When each open connection was accepted; on the clock of `performance.now()`. */
  get openSince(): readonly number[] {
    return [...this.#pairs.values()];
  }

  /** Ends every connection with a reset, discarding data in transit. */
  cut(): void {
    for (const [from, to] of this.#pairs.keys()) {
      this.cuts++;
      from.resetAndDestroy();
      to.resetAndDestroy();
    }
    this.#pairs.clear();
  }

  /**
   * Forwards nothing while `on`; dropped data is lost, so connections have to be cut afterwards.
   */
  swallow(on: boolean): void {
    this.#swallowing = on ? "everything" : "nothing";
  }

  /** As {@link swallow}, but requests still arrive, so that only their outcome is lost. */
  swallowResponses(on: boolean): void {
    this.#swallowing = on ? "responses" : "nothing";
  }

  /** Forwards nothing more on the connections that are open now; new ones work. */
  freeze(): void {
    for (const pair of this.#pairs.keys()) this.#frozen.add(pair);
  }

  /** Resets each new connection while `on`. */
  refuse(on: boolean): void {
    this.#refusing = on;
  }

  async close(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, "close");
    this.#server.close();
    this.cut();
    await closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
