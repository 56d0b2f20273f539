import { existsSync } from "node:fs";
import { rm, stat } from "node:fs/promises";
import { connect, createServer, type Server, type Socket } from "node:net";
import { dirname } from "node:path";
import { MicroError } from "../../base/error.ts";
import { hostAndPort, readSocketAddress, type SocketAddress } from "../socket-address.ts";

/** A listening server. */
export interface SocketServer {
  readonly server: Server;
  /** Where it listens, with the actual port number. */
  readonly address: string;
}

/**
 * Listens at `host:port`, `:port` or `unix:/path`. Replaces the file of a unix socket that a dead
 * process left behind.
 * @throws MicroError as `Transport.listen`.
 */
export async function listenSocket(
  text: string,
  accept: (socket: Socket) => void,
): Promise<SocketServer> {
  const address = readSocketAddress(text);
  const server = createServer({ noDelay: address.kind === "host" }, accept);
  try {
    await bind(server, address);
  } catch (error) {
    if (address.kind !== "unix" || !isBusy(error)) throw listenError(text, error);
    const file = await stat(address.path).catch(() => undefined);
    if (file !== undefined && !file.isSocket()) throw notASocket(text, address.path, error);
    if (!(await isStale(address.path))) throw listenError(text, error);
    await rm(address.path, { force: true });
    await bind(server, address).catch((again) => {
      throw listenError(text, again);
    });
  }
  return { server, address: boundAddress(server, address) };
}

/** Returns the system's name of an error, such as `EADDRINUSE`. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error ? String(error.code) : undefined;
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

/** Returns the address of the peer. For a unix socket, it is the listener's own address. */
export function peerAddress(socket: Socket, own: string): string {
  if (socket.remoteAddress === undefined || socket.remotePort === undefined) return own;
  return hostAndPort(socket.remoteAddress, socket.remotePort);
}

/** Whether the file of a unix socket exists and no process listens on it. */
async function isStale(path: string): Promise<boolean> {
  const file = await stat(path).catch(() => undefined);
  // A file that is not a socket is never removed.
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

function notASocket(text: string, path: string, cause: unknown): MicroError {
  return new MicroError(
    "already_exists",
    `cannot listen at ${text}: ${path} exists and is not a socket; remove it or choose another path`,
    { outcome: "not-executed", cause },
  );
}

function isBusy(error: unknown): boolean {
  return codeOf(error) === "EADDRINUSE";
}

function listenError(text: string, cause: unknown): MicroError {
  const system = codeOf(cause);
  const because = (code: MicroError["code"], what: string) =>
    new MicroError(code, `cannot listen at ${text}: ${what}`, { outcome: "not-executed", cause });
  switch (system) {
    case "EADDRINUSE":
      return because(
        "already_exists",
        text.startsWith("unix:")
          ? "address already in use; stop the other process or choose another path"
          : "address already in use; stop the other process or choose another address: port 0 takes a free one",
      );
    case "EACCES":
    case "EPERM":
      // Node has no specific error for a missing folder.
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
