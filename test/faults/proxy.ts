import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";

/**
 * A TCP proxy that does to connections what networks do: cuts them with a reset, or swallows what they carry while both
 * ends believe in them.
 */
export class FaultProxy implements AsyncDisposable {
  readonly #server: Server;
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  #swallowing = false;
  /** Connections that were cut so far. */
  cuts = 0;
  /** Connections that were made so far. */
  accepted = 0;
  /** Bytes that were swallowed so far. */
  swallowed = 0;

  private constructor(targetPort: number) {
    this.#server = createServer((from) => {
      this.accepted++;
      const to = connect(targetPort, "127.0.0.1");
      const pair = [from, to] as const;
      this.#pairs.add(pair);
      const end = () => {
        this.#pairs.delete(pair);
        from.destroy();
        to.destroy();
      };
      for (const [here, there] of [pair, [to, from] as const]) {
        here.on("data", (bytes) => {
          if (this.#swallowing) {
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

  static async start(targetPort: number): Promise<FaultProxy> {
    const proxy = new FaultProxy(targetPort);
    proxy.#server.listen(0, "127.0.0.1");
    await once(proxy.#server, "listening");
    return proxy;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  }

  /** Ends every connection with a reset, whatever is on its way. */
  cut(): void {
    for (const [from, to] of this.#pairs) {
      this.cuts++;
      from.resetAndDestroy();
      to.resetAndDestroy();
    }
    this.#pairs.clear();
  }

  /** Carries nothing while `on`; what was swallowed is gone, so connections have to be cut afterwards. */
  swallow(on: boolean): void {
    this.#swallowing = on;
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
