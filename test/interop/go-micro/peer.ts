import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

/**
 * A program that is written with go-micro, and that these tests drive: it serves `micro.test.v1.EchoService` of
 * test/proto, and calls, publishes and subscribes when it is told to.
 *
 * It is started as `peer -name N -protocol mucp|grpc -network local|nats -nats URL -subscribe TOPIC`, with go-micro's own
 * defaults under `local` and its NATS registry, transport and broker under `nats`. It says what it has to say in lines of
 * JSON: `{"ready":true}` when it is registered, `{"event":{"topic","message","header"}}` for an event,
 * `{"id","answers","error"}` for a command. Commands come in as {@link PeerCommand}; its end is the end of its input.
 *
 * Its handlers do what echo.proto says, and three things more: the text `metadata:Key` is answered with what came under
 * that key, `deadline` with the remaining milliseconds as index, and the error `plain` is one that is not go-micro's.
 */
export interface PeerCommand {
  readonly do: "unary" | "stream" | "publish";
  readonly service?: string;
  /** Such as `EchoService.Echo`. */
  readonly endpoint?: string;
  /** Messages are in protobuf's JSON. */
  readonly request?: object;
  /** What a stream sends, after the empty message that opens it. */
  readonly requests?: readonly object[];
  /** Answers after which a stream is left; 0 reads to the end. */
  readonly count?: number;
  /** Says that no further request comes, which go-micro can by gRPC only. */
  readonly closeSend?: boolean;
  readonly contentType?: string;
  readonly timeoutMs?: number;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly topic?: string;
  readonly message?: object;
}

/** What a command came to. */
export interface PeerReply {
  readonly answers?: readonly { text?: string; index?: number; server?: string }[];
  /** `text` is what Go's `Error()` gives, which is go-micro's JSON for its errors. */
  readonly error: { readonly text: string; readonly code?: number } | null;
  readonly eof?: boolean;
}

/** An event that the peer heard. */
export interface PeerEvent {
  readonly topic: string;
  readonly message: { readonly text?: string; readonly number?: number };
  readonly header: Readonly<Record<string, string>>;
}

/** The program's path; undefined when there is none. */
export const peerProgram: string | undefined = process.env.GO_MICRO_PEER;

/** One run of the peer. */
export class GoMicroPeer {
  readonly events: PeerEvent[] = [];
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, (reply: PeerReply) => void>();
  #lastId = 0;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  /** Resolves when it is registered. */
  static async start(program: string, args: readonly string[]): Promise<GoMicroPeer> {
    const child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"] });
    const peer = new GoMicroPeer(child);
    let log = "";
    child.stderr?.on("data", (text) => {
      log = (log + text).slice(-4_000);
    });
    await new Promise<void>((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", (code) => reject(new Error(`the peer ended with ${code}:\n${log}`)));
      createInterface({ input: child.stdout! }).on("line", (line) => {
        const said = JSON.parse(line);
        if (said.ready === true) resolve();
        else if (said.event !== undefined) peer.events.push(said.event);
        else if (said.id !== undefined) {
          peer.#waiting.get(said.id)?.(said);
          peer.#waiting.delete(said.id);
        }
      });
    });
    return peer;
  }

  run(command: PeerCommand): Promise<PeerReply> {
    const id = ++this.#lastId;
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
      this.#child.stdin?.write(`${JSON.stringify({ id, ...command })}\n`);
    });
  }

  /** Lets it deregister and end. */
  async close(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, "exit");
    this.#child.stdin?.end();
    const late = setTimeout(() => this.#child.kill("SIGKILL"), 10_000);
    await ended;
    clearTimeout(late);
  }
}
