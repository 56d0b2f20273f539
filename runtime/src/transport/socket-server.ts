import { existsSync } from "node:fs";
import { rm, stat } from "node:fs/promises";
import { connect, createServer, type Server, type Socket } from "node:net";
import { dirname } from "node:path";
import { MicroError } from "../error.ts";
import { hostAndPort, readSocketAddress, type SocketAddress } from "./socket-address.ts";

/** A server that listens. */
export interface SocketServer {
  readonly server: Server;
  /** Where it listens, with the real port. */
  readonly address: string;
}

/**
 * Listens at `host:port`, `:port` or `unix:/path`. A unix socket's file that a dead process left is replaced.
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
    if (address.kind !== "unix" || !isBusy(error) || !(await isStale(address.path))) {
      throw listenError(text, error);
    }
    await rm(address.path, { force: true });
    await bind(server, address).catch((again) => {
      throw listenError(text, again);
    });
  }
  return { server, address: boundAddress(server, address) };
}

/** The system's name of an error, such as `EADDRINUSE`. */
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

/** Where a connection comes from; a unix socket's is where it went. */
export function peerAddress(socket: Socket, own: string): string {
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
