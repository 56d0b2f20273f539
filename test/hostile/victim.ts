import { connect as connectHttp2 } from "node:http2";
import { setTimeout as sleep } from "node:timers/promises";
import { createClient, httpTransport, memoryRegistry } from "@micro-es/runtime";
import { createEchoServiceClient } from "../gen/micro/test/v1/echo_micro.ts";
import { type Program, startProgram } from "../support/process.ts";

/** What a server tells of itself. */
export interface VictimState {
  readonly rss: number;
  readonly inFlight: number;
}

/** A server in a process of its own, with a client of good will beside it. */
export class Victim {
  readonly port: number;
  readonly #program: Program;
  readonly #client = createClient({
    registry: memoryRegistry(),
    // A machine that is busy with harm may be slow, and is not dead for that.
    transports: [httpTransport({ handshakeTimeoutMs: 60_000, keepaliveTimeoutMs: 60_000 })],
  });

  private constructor(program: Program, port: number) {
    this.#program = program;
    this.port = port;
  }

  static async start(): Promise<Victim> {
    const program = startProgram(new URL("./server.ts", import.meta.url));
    const victim = new Victim(program, Number(await program.told("port")));
    // What is loaded and compiled at the first call is no growth.
    for (let call = 0; call < 200; call++) await victim.serve();
    return victim;
  }

  async state(): Promise<VictimState> {
    const state = this.#program.told("state");
    this.#program.send("state");
    return (await state) as VictimState;
  }

  /** Makes a call as others do, on a connection that is open all the time. Throws when it fails. */
  async serve(): Promise<void> {
    const echo = createEchoServiceClient(this.#client);
    const { text } = await echo.once(
      { text: "on" },
      { address: `http://127.0.0.1:${this.port}`, timeoutMs: 60_000, retry: false },
    );
    if (text !== "on") throw new Error(`the server answered ${JSON.stringify(text)}`);
  }

  /**
   * Lets harm be done while others call.
   * @returns the most that the server's memory grew meanwhile, in bytes, and the calls that were answered.
   */
  async during(harm: () => Promise<unknown>): Promise<{ growth: number; served: number }> {
    const { rss } = await this.state();
    let most = rss;
    let served = 0;
    let over = false;
    const watch = (async () => {
      do {
        await this.serve();
        served++;
        most = Math.max(most, (await this.state()).rss);
        await sleep(10);
      } while (!over);
    })();
    try {
      await harm();
    } finally {
      over = true;
      await watch;
    }
    return { growth: most - rss, served };
  }

  async close(): Promise<void> {
    await this.#client.close();
    await this.#program[Symbol.asyncDispose]();
  }
}

/** How a call by gRPC over HTTP/2 ends whose request is these bytes, which need not be the end of it. */
export function grpcStatus(port: number, headers: object, body: Buffer): Promise<string> {
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  return new Promise<string>((resolve, reject) => {
    session.on("error", reject);
    const stream = session.request({ ":method": "POST", te: "trailers", ...headers });
    let text = "";
    const seen = (lines: object) => {
      if ("grpc-status" in lines) resolve(String(lines["grpc-status"]));
    };
    stream.on("error", () => undefined);
    stream.on("response", seen);
    stream.on("trailers", seen);
    stream.setEncoding("latin1").on("data", (piece: string) => {
      text += piece;
    });
    stream.on("end", () =>
      resolve(/"code":"(\w+)"|grpc-status: ?(\d+)/.exec(text)?.slice(1).join("") ?? text),
    );
    stream.write(body);
  }).finally(() => session.destroy());
}
