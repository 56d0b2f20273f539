import { once } from "node:events";
import {
  connect,
  createSecureServer,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from "node:http2";
import type { AddressInfo } from "node:net";

/** TLS and a check of tokens in front of a server of gRPC that has neither. */
export interface Gateway extends AsyncDisposable {
  /** `localhost:port` */
  readonly address: string;
  /** The headers of the requests so far. */
  readonly requests: readonly IncomingHttpHeaders[];
}

/** What the gateway presents, and which requests it passes on. */
export interface GatewayOptions {
  /** In PEM. */
  readonly cert: string;
  readonly key: string;
  /** The address of the server. */
  readonly target: string;
  accepts(authorization: string | undefined): boolean;
}

export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const { cert, key, target, accepts } = options;
  const requests: IncomingHttpHeaders[] = [];
  const behind = connect(`http://${target}`);
  const server = createSecureServer({ cert, key });
  const sessions = new Set<{ destroy(): void }>();
  server.on("session", (session) => sessions.add(session));
  server.on("stream", (stream, headers) => {
    requests.push(headers);
    stream.on("error", () => {});
    if (!accepts(headers.authorization)) {
      const refusal = { "grpc-status": "16", "grpc-message": "invalid credentials" };
      stream.respond(
        { ":status": 200, "content-type": "application/grpc", ...refusal },
        {
          endStream: true,
        },
      );
      return;
    }
    passOn(stream, headers);
  });
  const passOn = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    const { authorization: _, ...others } = headers;
    const request = behind.request({ ...others, ":scheme": "http", ":authority": target });
    let trailers: IncomingHttpHeaders = {};
    request.on("response", (response, flags) => {
      // END_STREAM: the response is its trailers.
      stream.respond(response, (flags & 1) === 1 ? { endStream: true } : { waitForTrailers: true });
    });
    request.on("trailers", (received) => {
      trailers = received;
    });
    stream.on("wantTrailers", () => stream.sendTrailers(trailers));
    request.on("error", () => stream.destroy());
    stream.on("aborted", () => request.close());
    stream.pipe(request);
    request.pipe(stream);
  };
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    address: `localhost:${port}`,
    requests,
    async [Symbol.asyncDispose]() {
      for (const session of sessions) session.destroy();
      behind.destroy();
      server.close();
      await once(server, "close");
    },
  };
}
