import { once } from "node:events";
import { type AddressInfo, createServer, type Server } from "node:net";
import type { Dispatcher, TransportLimits } from "@micro-es/runtime/driver";
import { ConnectionPeer } from "../../runtime/src/call/connection-peer.ts";
import { jsonFormat } from "../../runtime/src/codec/json.ts";
import type { CallListener } from "../../runtime/src/transport/http/incoming-connection.ts";
import {
  IncomingHttp2Connection,
  type IncomingHttp2Owner,
} from "../../runtime/src/transport/http/incoming-http2.ts";
import { IncompleteBytes } from "../../runtime/src/transport/http/incomplete-bytes.ts";
import { errorCode } from "../../runtime/src/transport/http2/error-code.ts";
import { defaultHttp2Limits } from "../../runtime/src/transport/http2/limits.ts";
import { ignoringHandler } from "../../runtime/src/transport/http2/stream.ts";
import { defaultLimits } from "../../runtime/src/transport/transport.ts";

/** A server of RPC connections alone: requests that are not plain calls are refused. */
export class RpcTestServer {
  readonly connections: IncomingHttp2Connection[] = [];
  /** Calls that have not ended. */
  open = 0;
  /** Counts the memory of incomplete requests. */
  readonly #incomplete = IncompleteBytes.ofConnection(Number.MAX_SAFE_INTEGER);
  readonly #server: Server;

  private constructor(dispatcher: Dispatcher, limits: Partial<TransportLimits>) {
    const allLimits = { ...defaultLimits, ...limits };
    this.#server = createServer({ noDelay: true }, (socket) => {
      const peer = new ConnectionPeer("the client", "test");
      const listener: CallListener = {
        address: "the server",
        dispatcher,
        limits: allLimits,
        draining: false,
        compressMinBytes: 1_024,
        maxInflationRatio: 100,
        maxRequestBytes: allLimits.maxMessageBytes,
        json: jsonFormat,
        servesGoMicro: true,
        speaks: () => true,
        isMounted: () => false,
        accessFields: () => [],
      };
      const incomplete = [this.#incomplete];
      const owner: IncomingHttp2Owner = {
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
      };
      const connection = new IncomingHttp2Connection(
        socket,
        peer,
        defaultHttp2Limits,
        listener,
        incomplete,
        owner,
      );
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

  /** Memory of incomplete requests, in bytes. */
  get incomplete(): number {
    return this.#incomplete.bytes;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  close(): void {
    for (const { http2 } of this.connections) http2.socket.destroy();
    this.#server.close();
  }
}
