import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { MicroError } from "../../error.ts";
import { readSocketAddress } from "../socket-address.ts";
import { codeOf } from "../socket-server.ts";
import { type ClientTlsOptions, connectOptions } from "../tls.ts";
import type { TransportLimits } from "../transport.ts";
import type { GoMicroLink, LinkOwner } from "./link.ts";
import type { LinkSource } from "./link-source.ts";
import { SocketLink } from "./socket-link.ts";

/** Connections to one server of go-micro's HTTP transport. */
export class SocketSource implements LinkSource {
  readonly address: string;
  readonly #limits: TransportLimits;
  readonly #tls: ClientTlsOptions | undefined;
  readonly #host: string;

  constructor(address: string, host: string, limits: TransportLimits, tls?: ClientTlsOptions) {
    this.address = address;
    this.#host = host;
    this.#limits = limits;
    this.#tls = tls;
  }

  async open(owner: LinkOwner): Promise<GoMicroLink> {
    const socket = await this.#connect();
    return new SocketLink(socket, this.address, this.#limits, owner, this.#host);
  }

  #connect(): Promise<Socket> {
    const at = readSocketAddress(this.#host);
    const name = at.kind === "unix" ? "localhost" : at.host || "localhost";
    const target =
      at.kind === "unix" ? { path: at.path } : { host: name, port: at.port, noDelay: true };
    const tls = this.#tls;
    const socket =
      tls === undefined
        ? connect(target)
        : connectTls({ ...target, ...connectOptions(tls, name), ALPNProtocols: ["http/1.1"] });
    return new Promise((resolve, reject) => {
      const patienceMs = this.#limits.handshakeTimeoutMs;
      const late = new Error(`nobody answered within ${patienceMs} ms`);
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

  #unreachable(cause: Error): MicroError {
    const denied = ["EACCES", "EPERM"].includes(codeOf(cause) ?? "");
    return new MicroError(
      denied ? "permission_denied" : "unavailable",
      `cannot dial ${this.address}: ${cause.message}`,
      { outcome: "not-executed", cause },
    );
  }
}
