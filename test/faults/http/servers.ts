import { type Running, startServer } from "../../interop/process.ts";
import { freePort } from "../../support/free-ports.ts";
import { programCommand } from "./programs.ts";

/** Variables that isolate a fleet of these tests from all others on the machine. */
export type FleetEnvironment = Readonly<Record<string, string>>;

/** A server at a fixed port that can be stopped and restarted. */
export class RestartableServer implements AsyncDisposable {
  readonly address: string;
  readonly #environment: FleetEnvironment;
  readonly #ledger: string | undefined;
  #running: Running | undefined;

  private constructor(address: string, environment: FleetEnvironment, ledger: string | undefined) {
    this.address = address;
    this.#environment = environment;
    this.#ledger = ledger;
  }

  /** @param ledger the file in which it records the calls that it begins */
  static async start(environment: FleetEnvironment, ledger?: string): Promise<RestartableServer> {
    const server = new RestartableServer(`127.0.0.1:${await freePort()}`, environment, ledger);
    await server.start();
    return server;
  }

  async start(): Promise<void> {
    const given = JSON.stringify({ address: this.address, ledger: this.#ledger });
    this.#running = await startServer(
      {
        argv: [...(await programCommand("server.ts")), given],
        env: this.#environment,
      },
      (line) => /^listening (\S+)/.exec(line)?.[1],
    );
  }

  /** Resolves with its exit status or signal. */
  async stop(signal: "SIGTERM" | "SIGKILL" = "SIGTERM"): Promise<number | string> {
    const running = this.#running;
    this.#running = undefined;
    return (await running?.stop(signal)) ?? 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop("SIGKILL");
  }
}
