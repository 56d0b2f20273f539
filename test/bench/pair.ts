import { type ChildProcess, spawn } from "node:child_process";
import { basename } from "node:path";
import type { SliceRequest, SliceResult } from "./slice.ts";

/** The resources that a process has used so far. */
export interface Usage {
  readonly cpuUs: number;
  readonly rssBytes: number;
}

/** Both sides of one contender, each in its own process. */
export interface Pair {
  readonly name: string;
  slice(request: SliceRequest): Promise<SliceResult>;
  usage(): Promise<{ readonly client: Usage; readonly server: Usage }>;
  close(): Promise<void>;
}

/** Starts a contender's server, then its client, from its built file in `folder`. */
export async function startPair(contender: string, folder: string): Promise<Pair> {
  const file = `${folder}/${contender}.js`;
  const name = basename(contender);
  const server = new Side([`${folder}/child.js`, file, "server"]);
  try {
    const address = String(await server.answer());
    const client = new Side([`${folder}/child.js`, file, "client", address]);
    await client.answer();
    return {
      name,
      slice: (slice) => client.ask({ ask: "slice", slice }) as Promise<SliceResult>,
      usage: async () => ({
        client: (await client.ask({ ask: "usage" })) as Usage,
        server: (await server.ask({ ask: "usage" })) as Usage,
      }),
      async close() {
        await client.end();
        await server.end();
      },
    };
  } catch (error) {
    await server.end();
    throw error;
  }
}

class Side {
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  #waiting: { resolve: (answer: unknown) => void; reject: (error: Error) => void } | undefined;

  constructor(args: readonly string[]) {
    const profile = process.env.BENCH_PROFILE;
    const flags = profile === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profile}`];
    this.#child = spawn(process.execPath, [...flags, "--enable-source-maps", ...args], {
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    this.#child.on("message", (message: { answer?: unknown; failure?: string }) => {
      const waiting = this.#waiting;
      this.#waiting = undefined;
      if (message.failure === undefined) waiting?.resolve(message.answer);
      else waiting?.reject(new Error(message.failure));
    });
    this.#ended = new Promise((resolve) => {
      this.#child.once("exit", (code) => {
        this.#waiting?.reject(new Error(`${args.slice(1).join(" ")} ended with code ${code}`));
        resolve();
      });
    });
  }

  /** The next message of the process; one question is asked at a time. */
  answer(): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
  }

  ask(question: unknown): Promise<unknown> {
    const answer = this.answer();
    this.#child.send(question as never);
    return answer;
  }

  async end(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.connected) {
      await Promise.race([this.ask({ ask: "close" }).catch(() => {}), timeout(2_000)]);
      await Promise.race([this.#ended, timeout(1_000)]);
    }
    this.#child.kill("SIGKILL");
    await this.#ended;
  }
}

function timeout(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}
