import { type ChildProcess, fork } from "node:child_process";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { Attack } from "./attack.ts";
import type { CallRequest, CallResult } from "./target-process.ts";

/** What the target has used. Memory in bytes, after a collection. */
export interface Usage {
  readonly rss: number;
  /** The most that the process ever had of the system. */
  readonly peakRss: number;
  /** Objects and the memory outside of the heap that they hold. */
  readonly held: number;
  /** Since the attack began, in milliseconds. */
  readonly cpuMs: number;
  readonly stallMs: number;
  readonly puts: number;
  readonly inFlight: number;
  readonly problems: readonly string[];
}

interface Reply {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: string;
}

/** The attacked process as an attack sees it. */
export class Target {
  readonly host = "127.0.0.1";
  readonly port: number;
  /** What {@link TargetSetup.afterStart} returned. */
  readonly details: unknown;
  readonly #child: ChildProcess;
  readonly #pending = new Map<number, (reply: Omit<Reply, "id">) => void>();
  readonly #sockets = new Set<Socket>();
  #counted = 0;
  #nextId = 0;
  readonly #exit: Promise<void>;
  readonly #stderr: () => string;

  private constructor(
    child: ChildProcess,
    ready: { address: string; details: unknown },
    stderr: () => string,
  ) {
    this.#child = child;
    this.#stderr = stderr;
    this.port = Number(ready.address.slice(ready.address.lastIndexOf(":") + 1));
    this.details = ready.details;
    child.on("message", (message: Reply) => {
      this.#pending.get(message.id)?.(message);
      this.#pending.delete(message.id);
    });
    this.#exit = new Promise((resolve) => {
      child.once("exit", () => {
        for (const settle of this.#pending.values()) settle({ error: this.#ended() });
        this.#pending.clear();
        resolve();
      });
    });
  }

  /** Starts a target, and waits until what its first calls load and compile is loaded. */
  static async start(
    attack: Pick<Attack, "environment" | "setup" | "heapMB">,
    node: string,
  ): Promise<Target> {
    const { environment, setup, heapMB } = attack;
    const child = fork(new URL("./target-process.ts", import.meta.url), [], {
      execPath: node,
      execArgv: [
        "--expose-gc",
        ...(heapMB === undefined ? [] : [`--max-old-space-size=${heapMB}`]),
        "--import",
        "tsx",
        "--conditions=@micro-es/source",
      ],
      stdio: ["ignore", "ignore", "pipe", "ipc"],
      env: {
        ...process.env,
        // One arena: several keep what each has freed, which says nothing about the target.
        MALLOC_ARENA_MAX: "1",
        MICRO_ADDRESS: "127.0.0.1:0",
        MICRO_REGISTRY: "memory",
        MICRO_BROKER: "memory",
        MICRO_MDNS_INTERFACE: "127.0.0.1",
        MICRO_MDNS_PORT: String(20_000 + (process.pid % 20_000)),
        MICRO_LOG_LEVEL: "error",
        ...(setup === undefined ? {} : { ATTACK_SETUP: setup.href }),
        ...environment,
      },
    });
    let stderr = "";
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      if (stderr.length < 100_000) stderr += text;
    });
    const ready = await new Promise<{ address: string; details: unknown }>((resolve, reject) => {
      child.once("message", (message: { ready: { address: string; details: unknown } }) =>
        resolve(message.ready),
      );
      child.once("exit", (code, signal) =>
        reject(new Error(`the target ended with ${signal ?? code} at its start:\n${stderr}`)),
      );
    });
    const target = new Target(child, ready, () => stderr);
    for (let call = 0; call < 30; call++) await target.ordinaryCall();
    return target;
  }

  /** Bytes that were sent through this target's connections or counted otherwise. */
  get sentBytes(): number {
    let sum = this.#counted;
    for (const socket of this.#sockets) sum += socket.bytesWritten;
    return sum;
  }

  /** Whether the process has ended. */
  get exited(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** What the target wrote to standard error so far. */
  get log(): string {
    return this.#stderr();
  }

  /** Connects to the target, or to another port of its process. */
  async connect(port = this.port): Promise<AttackConnection> {
    const socket = connect({ host: this.host, port, noDelay: true });
    const connection = new AttackConnection(socket);
    this.watch(socket);
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("error", reject);
    });
    return connection;
  }

  /** Counts what is written to a socket, and destroys the socket when the attack is over. */
  watch(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("error", () => undefined);
  }

  /** Counts bytes that were not sent by a socket of this target. */
  count(bytes: number): void {
    this.#counted += bytes;
  }

  /** Has the target call a server at `address`, such as a hostile one of the attack. */
  async call(request: CallRequest): Promise<CallResult> {
    return (await this.#ask({ do: "call", ...request })) as CallResult;
  }

  /** Has the setup of the target do something. */
  async perform(action: string): Promise<unknown> {
    return await this.#ask({ do: "perform", action });
  }

  async usage(): Promise<Usage> {
    return (await this.#ask({ do: "measure" })) as Usage;
  }

  /** Begins to measure. */
  async reset(): Promise<void> {
    await this.#ask({ do: "reset" });
  }

  /** An ordinary call of another client. Throws when it fails. */
  async ordinaryCall(timeoutMs = 20_000): Promise<void> {
    const url = `http://${this.host}:${this.port}/micro.attack.v1.TargetService/Say`;
    const response = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: '{"name":"Ada"}',
      signal: AbortSignal.timeout(timeoutMs),
    });
    const text = await response.text();
    if (!text.includes("Hello Ada")) throw new Error(`an ordinary call got ${text.slice(0, 200)}`);
  }

  /** Closes what the attack opened. */
  closeConnections(): void {
    for (const socket of this.#sockets) {
      this.#counted += socket.bytesWritten;
      socket.destroy();
    }
    this.#sockets.clear();
  }

  stop(): void {
    this.closeConnections();
    this.#child.kill("SIGKILL");
  }

  async #ask(message: object): Promise<unknown> {
    if (this.exited || !this.#child.connected) {
      // The channel to a process that ends closes before its status is known.
      await this.#exit;
      throw new Error(this.#ended());
    }
    const id = ++this.#nextId;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, ({ value, error }) => {
        if (error === undefined) resolve(value);
        else reject(new Error(error));
      });
      // A failure means that the process ends, which settles what is pending.
      this.#child.send({ id, ...message }, () => undefined);
    });
  }

  #ended(): string {
    const { exitCode, signalCode } = this.#child;
    const why = /FATAL ERROR: .*/.exec(this.#stderr())?.[0] ?? this.#stderr().slice(-500);
    return `the target ended with ${signalCode ?? exitCode} ${why}`;
  }
}

/**
 * A connection that sends what an attack wants, and keeps what comes back where that is asked for.
 */
export class AttackConnection {
  readonly socket: Socket;
  /** Resolves when the connection is closed, by either side. */
  readonly closed: Promise<void>;
  #chunks: Buffer[] = [];

  constructor(socket: Socket) {
    this.socket = socket;
    this.closed = new Promise((resolve) => socket.once("close", () => resolve()));
    socket.resume();
  }

  get isOpen(): boolean {
    return !this.socket.destroyed && this.socket.writable;
  }

  /** Stops to read, so that responses pile up on the other side. */
  ignoreResponses(): void {
    this.socket.pause();
  }

  /** Keeps what arrives from here on for {@link received}. */
  keepResponses(): void {
    this.socket.on("data", (chunk) => this.#chunks.push(chunk));
  }

  get received(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  /**
   * Writes, and waits until the socket takes more, at most `waitMs`. Returns whether the connection
   * is open.
   */
  async write(bytes: Buffer | string, waitMs = 1_000): Promise<boolean> {
    if (!this.isOpen) return false;
    if (this.socket.write(bytes)) return true;
    const waiting = new AbortController();
    await Promise.race([
      new Promise<void>((resolve) => this.socket.once("drain", resolve)),
      this.closed,
      sleep(waitMs, undefined, { signal: waiting.signal }).catch(() => undefined),
    ]);
    waiting.abort();
    return this.isOpen;
  }

  /** Writes the same bytes `count` times, one write a turn, so that they arrive one by one. */
  async drip(bytes: Buffer | string, count: number, withinMs: number): Promise<number> {
    const until = performance.now() + withinMs;
    let written = 0;
    while (written < count && this.isOpen && performance.now() < until) {
      this.socket.write(bytes);
      written++;
      await new Promise(setImmediate);
    }
    return written;
  }
}
