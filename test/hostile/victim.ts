import { connect as connectHttp2 } from "node:http2";
import { setTimeout as sleep } from "node:timers/promises";
import { createClient, httpTransport, memoryRegistry } from "@micro-es/runtime";
import { createEchoServiceClient } from "../gen/micro/test/v1/echo_micro.ts";
import { type Program, startProgram } from "../support/process.ts";

/** The state that a server reports. */
export interface VictimState {
  /**
   * What the system has given it, in bytes; some of it is never given back, and more where the
   * collector comes late.
   */
  readonly rss: number;
  /**
   * What it cannot do without at this moment, in bytes: objects after a collection, and memory that
   * these hold.
   */
  readonly held: number;
  readonly inFlight: number;
}

/** The most that a server's memory grew, in bytes. */
export type Growth = Pick<VictimState, "rss" | "held">;

/** A server in a process of its own, with a well-behaved client. */
export class Victim {
  readonly port: number;
  readonly #program: Program;
  readonly #client = createClient({
    registry: memoryRegistry(),
    // A machine that is busy with harm may be slow, and is not dead for that.
    transports: [httpTransport({ handshakeTimeoutMs: 60_000, keepaliveTimeoutMs: 60_000 })],
    dialTimeoutMs: 60_000,
  });

  private constructor(program: Program, port: number) {
    this.#program = program;
    this.port = port;
  }

  static async start(): Promise<Victim> {
    // One arena: several keep what each has freed, which says nothing of the server.
    const environment = { MALLOC_ARENA_MAX: "1" };
    const file = new URL("./server.ts", import.meta.url);
    // V8 grows its young generation to three times 16 MiB and more while objects are made, however
    // few are kept.
    const flags = ["--expose-gc", "--max-semi-space-size=2"];
    const program = startProgram(file, environment, [], flags);
    const victim = new Victim(program, Number(await program.told("port")));
    // Code that is loaded and compiled at the first calls does not count as growth.
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
   * @returns the most that the server's memory grew meanwhile, and how long each call took that was
   * answered, the quickest first, in milliseconds.
   */
  async during(
    harm: () => Promise<unknown>,
  ): Promise<{ growth: Growth; servedMs: readonly number[] }> {
    const before = await this.state();
    const growth = { rss: 0, held: 0 };
    const servedMs: number[] = [];
    let over = false;
    const watch = (async () => {
      do {
        const began = performance.now();
        await this.serve();
        servedMs.push(performance.now() - began);
        const { rss, held } = await this.state();
        growth.rss = Math.max(growth.rss, rss - before.rss);
        growth.held = Math.max(growth.held, held - before.held);
        await sleep(10);
      } while (!over);
    })();
    try {
      await harm();
    } finally {
      over = true;
      await watch;
    }
    return { growth, servedMs: servedMs.sort((a, b) => a - b) };
  }

  async close(): Promise<void> {
    await this.#client.close();
    await this.#program[Symbol.asyncDispose]();
  }
}

/**
 * How a call by gRPC over HTTP/2 ends whose request is these bytes, which need not be the end of
 * it.
 */
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
