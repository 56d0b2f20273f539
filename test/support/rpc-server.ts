import { once } from "node:events";
import { type AddressInfo, createServer, type Server } from "node:net";
import type { Dispatcher, TransportLimits } from "@micro-es/runtime/driver";
import { ConnectionPeer } from "../../runtime/src/call/connection-peer.ts";
import { jsonFormat } from "../../runtime/src/codec/json.ts";
import { RpcConnection } from "../../runtime/src/transport/http/rpc-connection.ts";
import { errorCode } from "../../runtime/src/transport/http2/error-code.ts";
import { defaultHttp2Limits } from "../../runtime/src/transport/http2/limits.ts";
import { ignoringHandler } from "../../runtime/src/transport/http2/stream.ts";
import { defaultLimits } from "../../runtime/src/transport/transport.ts";

/** A server of RPC connections alone: requests that are not plain calls are refused. */
export class RpcTestServer {
  readonly connections: RpcConnection[] = [];
  /** Calls that have not ended. */
  open = 0;
  /** Memory of incomplete requests, in bytes. */
  incomplete = 0;
  readonly #server: Server;

  private constructor(dispatcher: Dispatcher, limits: Partial<TransportLimits>) {
    const allLimits = { ...defaultLimits, ...limits };
    this.#server = createServer({ noDelay: true }, (socket) => {
      const peer = new ConnectionPeer("the client", "test");
      const connection = new RpcConnection(socket, peer, allLimits, defaultHttp2Limits, {
        address: "the server",
        dispatcher,
        compressMinBytes: 1_024,
        maxInflationRatio: 100,
        maxRequestBytes: allLimits.maxMessageBytes,
        responseFieldsFor: () => [],
        json: jsonFormat,
        holdIncomplete: (bytes) => {
          this.incomplete += bytes;
          return undefined;
        },
        callBegan: () => {
          this.open++;
        },
        callEnded: () => {
          this.open--;
        },
        otherRequest: (stream) => {
          stream.reset(errorCode.refusedStream);
          return ignoringHandler;
        },
        connectionEnded: () => undefined,
      });
      this.connections.push(connection);
    });
  }

  static async start(
    dispatcher: Dispatcher,
    limits: Partial<TransportLimits> = {},
  ): Promise<RpcTestServer> {
    const started = new RpcTestServer(dispatcher, limits);
    started.#server.listen(0, "127.0.0.1");
    await once(started.#server, "listening");
    return started;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  close(): void {
    for (const { http2 } of this.connections) http2.socket.destroy();
    this.#server.close();
  }
}
