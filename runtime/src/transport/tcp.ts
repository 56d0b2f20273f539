import { existsSync } from "node:fs";
import { rm, stat } from "node:fs/promises";
import { connect, createServer, type Server, type Socket } from "node:net";
import { dirname } from "node:path";
import { remainingMs } from "../deadline.ts";
import { MicroError } from "../error.ts";
import { cancelledBy } from "./call-errors.ts";
import { resolveLimits } from "./limits.ts";
import { ClientConnection } from "./native/client-connection.ts";
import { NativeListener } from "./native/native-listener.ts";
import { hostAndPort, readSocketAddress, type SocketAddress } from "./socket-address.ts";
import type {
  Channel,
  DialOptions,
  Dispatcher,
  Listener,
  ListenOptions,
  Transport,
  TransportLimits,
} from "./transport.ts";

/** Limits of {@link tcpTransport}; what is left out has the default of {@link TransportLimits}. */
export type TcpTransportOptions = Partial<TransportLimits>;

/**
 * Calls over TCP and unix sockets in the native protocol (docs/wire-protocol.md). Addresses are `host:port`,
 * `[v6]:port`, `:port` and `unix:/path`; `:port` listens on every interface and dials this machine. A unix
 * socket's file that a dead process left is replaced, and the file is removed when the listener closes.
 */
export function tcpTransport(options: TcpTransportOptions = {}): Transport {
  const limits = resolveLimits(options);
  return {
    name: "tcp",
    protocol: "native",
    accepts(address) {
      try {
        readSocketAddress(address);
        return true;
      } catch {
        return false;
      }
    },
    dial: (address, dialOptions) => dial(address, limits, dialOptions ?? {}),
    listen: (address, dispatcher, listenOptions) =>
      listen(address, dispatcher, limits, listenOptions ?? {}),
  };
}

async function dial(text: string, limits: TransportLimits, options: DialOptions): Promise<Channel> {
  const address = readSocketAddress(text);
  if (address.kind === "host" && address.port === 0) {
    throw new MicroError("invalid_argument", `cannot dial ${text}: port 0 is nobody's`, {
      outcome: "not-executed",
    });
  }
  const { signal, deadline = Number.POSITIVE_INFINITY } = options;
  if (signal?.aborted === true)
    throw cancelledBy(signal.reason, `dialling ${text}`, "not-executed");
  const patienceMs = remainingMs(deadline);
  if (patienceMs <= 0) throw tooLate(text);

  const socket =
    address.kind === "unix"
      ? connect({ path: address.path })
      : connect({ host: address.host || "localhost", port: address.port, noDelay: true });
  const connection = new ClientConnection(socket, text, limits);
  connection.greet();
  let givenUp: MicroError | undefined;
  const giveUp = (reason: MicroError) => {
    givenUp = reason;
    connection.end(reason);
    socket.destroy();
  };
  const onAbort = () => giveUp(cancelledBy(signal?.reason, `dialling ${text}`, "not-executed"));
  signal?.addEventListener("abort", onAbort, { once: true });
  // The handshake timeout is the connection's own.
  const timer =
    patienceMs < limits.handshakeTimeoutMs
      ? setTimeout(() => giveUp(tooLate(text)), Math.ceil(patienceMs))
      : undefined;
  try {
    await connection.ready;
    return connection;
  } catch (reason) {
    throw givenUp ?? dialError(text, reason as MicroError);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  }
}

async function listen(
  text: string,
  dispatcher: Dispatcher,
  limits: TransportLimits,
  options: ListenOptions,
): Promise<Listener> {
  const address = readSocketAddress(text);
  const connections = new NativeListener(dispatcher, limits, "tcp", options);
  const server = createServer({ noDelay: address.kind === "host" }, (socket) => {
    connections.accept(socket, peerAddress(socket, connections.address));
  });
  try {
    await bind(server, address);
  } catch (error) {
    if (address.kind !== "unix" || !isBusy(error) || !(await isStale(address.path))) {
      throw listenError(text, error);
    }
    await rm(address.path, { force: true });
    await bind(server, address).catch((again) => {
      throw listenError(text, again);
    });
  }
  connections.address = boundAddress(server, address);
  // As when no file descriptor is left. It must not end the process, and the next one may be accepted.
  server.on("error", (cause) => {
    const reason = `cannot accept a connection at ${connections.address}: ${cause.message}`;
    options.onConnectionError?.(new MicroError("resource_exhausted", reason, { cause }), "unknown");
  });
  return new TcpListener(server, connections);
}

class TcpListener implements Listener {
  readonly address: string;
  readonly #server: Server;
  readonly #connections: NativeListener;
  #stopped: Promise<void> | undefined;
  #closed: Promise<void> | undefined;

  constructor(server: Server, connections: NativeListener) {
    this.#server = server;
    this.#connections = connections;
    this.address = connections.address;
  }

  get connections(): number {
    return this.#connections.connections;
  }

  get openCalls(): number {
    return this.#connections.openCalls;
  }

  drain(): Promise<void> {
    this.#stopped ??= new Promise((resolve) => {
      this.#server.close(() => resolve());
    });
    return this.#connections.drain();
  }

  close(graceMs = 0): Promise<void> {
    this.#closed ??= this.#close(graceMs);
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(graceMs: number): Promise<void> {
    void this.drain();
    await this.#connections.close(graceMs);
    await this.#stopped;
  }
}

function bind(server: Server, address: SocketAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    const listening = () => {
      server.off("error", reject);
      resolve();
    };
    if (address.kind === "unix") server.listen({ path: address.path }, listening);
    else if (address.host === "") server.listen({ port: address.port }, listening);
    else server.listen({ host: address.host, port: address.port }, listening);
  });
}

function boundAddress(server: Server, wanted: SocketAddress): string {
  const bound = server.address();
  if (wanted.kind === "unix") return `unix:${wanted.path}`;
  if (bound === null || typeof bound === "string") return hostAndPort(wanted.host, wanted.port);
  return hostAndPort(wanted.host || bound.address, bound.port);
}

function peerAddress(socket: Socket, own: string): string {
  if (socket.remoteAddress === undefined || socket.remotePort === undefined) return own;
  return hostAndPort(socket.remoteAddress, socket.remotePort);
}

/** Whether a unix socket's file is there and nobody listens on it. */
async function isStale(path: string): Promise<boolean> {
  const file = await stat(path).catch(() => undefined);
  // Whatever else has this name belongs to somebody.
  if (file === undefined || !file.isSocket()) return file === undefined;
  return new Promise((resolve) => {
    const probe = connect({ path });
    probe.once("connect", () => {
      probe.destroy();
      resolve(false);
    });
    probe.once("error", (error) => resolve(codeOf(error) === "ECONNREFUSED"));
  });
}

function isBusy(error: unknown): boolean {
  return codeOf(error) === "EADDRINUSE";
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error ? String(error.code) : undefined;
}

function listenError(text: string, cause: unknown): MicroError {
  const system = codeOf(cause);
  const because = (code: MicroError["code"], what: string) =>
    new MicroError(code, `cannot listen at ${text}: ${what}`, { outcome: "not-executed", cause });
  switch (system) {
    case "EADDRINUSE":
      return because("already_exists", "somebody does; stop it or take another address");
    case "EACCES":
    case "EPERM":
      // Node has no other word for a folder that is not there.
      if (text.startsWith("unix:") && !existsSync(dirname(text.slice(5)))) {
        return because("invalid_argument", `there is no folder ${dirname(text.slice(5))}`);
      }
      return because(
        "permission_denied",
        "this process may not; take a port above 1023 or another path",
      );
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
    case "ENOENT":
    case "ENOTDIR":
      return because("invalid_argument", "there is no such place on this machine");
    default:
      return because("unavailable", cause instanceof Error ? cause.message : String(cause));
  }
}

function dialError(text: string, reason: MicroError): MicroError {
  const denied = ["EACCES", "EPERM"].includes(codeOf(reason.cause) ?? "");
  return new MicroError(
    denied ? "permission_denied" : "unavailable",
    `cannot dial ${text}: ${reason.message}`,
    { outcome: "not-executed", cause: reason },
  );
}

function tooLate(text: string): MicroError {
  return new MicroError("deadline_exceeded", `${text} was not reached by the deadline`, {
    outcome: "not-executed",
  });
}
