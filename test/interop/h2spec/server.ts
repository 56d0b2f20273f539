import { createServer, type Server } from "node:net";
import { HeaderField } from "../../../runtime/src/transport/http2/hpack/header-field.ts";
import { HeaderTemplate } from "../../../runtime/src/transport/http2/hpack/header-template.ts";
import { defaultHttp2Limits } from "../../../runtime/src/transport/http2/limits.ts";
import { ServerConnection } from "../../../runtime/src/transport/http2/server-connection.ts";
import {
  type Http2Stream,
  ignoringHandler,
  type StreamHandler,
} from "../../../runtime/src/transport/http2/stream.ts";

const head = new HeaderTemplate([
  new HeaderField(":status", "200"),
  new HeaderField("content-type", "text/plain"),
]);
const body = new TextEncoder().encode("hello from HTTP/2\n");

/** Responds to every request, once it is complete. */
const handler: StreamHandler = { ...ignoringHandler, onEnd: respond };

function respond(stream: Http2Stream): void {
  stream.head(head);
  stream.send(body, 0, body.length, true);
}

/** The connections of this server. A test puts broken ones in their place. */
export type Connections = typeof ServerConnection;

/** Serves HTTP/2 on a free port of this machine. */
export async function serveHttp2(Connection: Connections = ServerConnection): Promise<Server> {
  const server = createServer((socket) => {
    new Connection(socket, socket.remoteAddress ?? "", defaultHttp2Limits, {
      requested(stream, _head, _list, hasEnded) {
        if (hasEnded) respond(stream);
        return handler;
      },
      connectionEnded: () => undefined,
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  return server;
}
