import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

/**
 * A program written with go-micro that these tests drive: it serves `micro.test.v1.EchoService` of
 * test/proto, and calls, publishes and subscribes on request.
 *
 * It is started as
 * `peer -name N -protocol mucp|grpc -network NETWORK -nats URL -registry HOST:PORT
 * -subscribe TOPIC`, with go-micro's own defaults if the network is `local`, its NATS registry,
 * transport and broker if it is `nats`, and its registry of that name if it is `etcd`, `consul` or
 * `zookeeper`.
 * Its output is lines of JSON: `{"ready":true}` when it is registered,
 * `{"event":{"topic","message","header"}}` for an event, `{"id","answers","error"}` for a command
 * (with `services` after `get`), and `{"watched"}` with each result of a watcher after `watch`.
 * Commands arrive as {@link PeerCommand}; it ends at the end of its input.
 *
 * go-micro's gRPC plugin replaces gRPC's codec by one that refuses the messages of etcd's client,
 * so a program that has both must register another codec under the name `proto`.
 *
 * Its handlers follow echo.proto, with three additions: the text `metadata:Key` returns the
 * metadata received under that key, `deadline` the remaining milliseconds as index, and the error
 * `plain` is one that is not go-micro's.
 */
export interface PeerCommand {
  readonly do: "unary" | "stream" | "publish" | "get" | "watch";
  readonly service?: string;
  /** Such as `EchoService.Echo`. */
  readonly endpoint?: string;
  /** Messages are in protobuf's JSON. */
  readonly request?: object;
  /** The requests of a stream, after the empty message that opens it. */
  readonly requests?: readonly object[];
  /** The number of responses after which to leave a stream; 0 reads to the end. */
  readonly count?: number;
  /** Signals that no further request follows, which go-micro supports only over gRPC. */
  readonly closeSend?: boolean;
  readonly contentType?: string;
  readonly timeoutMs?: number;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly topic?: string;
  readonly message?: object;
}

/** The result of a command. */
export interface PeerReply {
  readonly answers?: readonly { text?: string; index?: number; server?: string }[];
  /** `text` is the result of Go's `Error()`, which is go-micro's JSON for its errors. */
  readonly error: { readonly text: string; readonly code?: number } | null;
  readonly eof?: boolean;
  /** What its registry knows of a service, in go-micro's JSON. */
  readonly services?: readonly GoService[];
}

/** A service in go-micro's JSON, as far as these tests read it. */
export interface GoService {
  readonly name: string;
  readonly version: string;
  readonly endpoints: readonly { readonly name: string }[] | null;
  readonly nodes: readonly {
    readonly id: string;
    readonly address: string;
    readonly metadata: Readonly<Record<string, string>> | null;
  }[];
}

/** A result of go-micro's watcher. */
export interface GoWatchResult {
  readonly Action: string;
  readonly Service: GoService | null;
}

/** An event that the peer received. */
export interface PeerEvent {
  readonly topic: string;
  readonly message: { readonly text?: string; readonly number?: number };
  readonly header: Readonly<Record<string, string>>;
}

/** The program's path; undefined if there is none. */
export const peerProgram: string | undefined = process.env.GO_MICRO_PEER;

/** One run of the peer. */
export class GoMicroPeer {
  readonly events: PeerEvent[] = [];
  readonly watched: GoWatchResult[] = [];
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
        else if (said.watched !== undefined) peer.watched.push(said.watched);
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
