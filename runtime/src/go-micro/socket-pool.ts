import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { checkDialable, lookupDialable } from "../base/dialable-address.ts";
import { MicroError } from "../base/error.ts";
import { codeOf } from "../transport/port/socket-server.ts";
import { readSocketAddress } from "../transport/socket-address.ts";
import { type ClientTlsOptions, connectOptions, onServerExpiry } from "../transport/tls.ts";
import type { TransportLimits } from "../transport/transport.ts";
import type { ConnectionOwner, GoMicroConnection } from "./connection.ts";
import type { ConnectionPool } from "./connection-pool.ts";
import { SocketConnection } from "./socket-connection.ts";

/** Connections to one server of go-micro's HTTP transport. */
export class SocketPool implements ConnectionPool {
  readonly address: string;
  readonly #limits: TransportLimits;
  readonly #tls: ClientTlsOptions | undefined;
  readonly #host: string;

  readonly #service: string | undefined;

  constructor(
    address: string,
    host: string,
    limits: TransportLimits,
    tls?: ClientTlsOptions,
    service?: string,
  ) {
    this.address = address;
    this.#service = service;
    this.#host = host;
    this.#limits = limits;
    this.#tls = tls;
  }

  async open(owner: ConnectionOwner): Promise<GoMicroConnection> {
    const socket = await this.#connect();
    return new SocketConnection(socket, this.address, this.#limits, owner, this.#host);
  }

  async #connect(): Promise<Socket> {
    const at = readSocketAddress(this.#host);
    const name = at.kind === "unix" ? "localhost" : at.host || "localhost";
    checkDialable(name);
    const target =
      at.kind === "unix"
        ? { path: at.path }
        : { host: name, port: at.port, noDelay: true, lookup: lookupDialable };
    const tls = this.#tls;
    const socket = tls === undefined ? connect(target) : this.#connectSecurely(tls, target, name);
    return new Promise((resolve, reject) => {
      const patienceMs = this.#limits.handshakeTimeoutMs;
      const late = new Error(`no response within ${patienceMs} ms`);
      const timer = setTimeout(() => socket.destroy(late), patienceMs);
      const failed = (cause: Error) => {
        clearTimeout(timer);
        reject(this.#unreachable(cause));
      };
      socket.once("error", failed);
      socket.once(tls === undefined ? "connect" : "secureConnect", () => {
        clearTimeout(timer);
        socket.off("error", failed);
        resolve(socket);
      });
    });
  }

  #connectSecurely(tls: ClientTlsOptions, target: object, host: string): Socket {
    const options = connectOptions(tls, host, this.#service);
    const socket = connectTls({ ...target, ...options, ALPNProtocols: ["http/1.1"] });
    onServerExpiry(socket, tls, (reason) => socket.destroy(reason));
    return socket;
  }

  #unreachable(cause: Error): MicroError {
    const denied = ["EACCES", "EPERM"].includes(codeOf(cause) ?? "");
    return new MicroError(
      denied ? "permission_denied" : "unavailable",
      `cannot dial ${this.address}: ${cause.message}`,
      { outcome: "not-executed", cause },
    );
  }
}
