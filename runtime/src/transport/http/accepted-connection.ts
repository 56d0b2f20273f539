import type { Socket } from "node:net";
import type { MicroError } from "../../base/error.ts";
import { within } from "../settle-within.ts";
import type { IncomingHttp1Connection } from "./incoming-http1.ts";
import type { IncomingHttp2Connection } from "./incoming-http2.ts";
import type { HttpConnection } from "./mounted-routes.ts";
import type { HttpResponse } from "./request.ts";

/** How long a closed connection may take to send its pending output, in milliseconds. */
export const lingerMs = 500;
/**
 * How long an HTTP/2 connection that accepts no further calls stays open after its last response. A
 * caller that reads the end of the connection together with a response may treat the response as
 * lost, as grpc-js does.
 */
const goodbyeMs = 250;

/** The state of a connection that a listener has accepted. */
export interface AcceptedConnection extends HttpConnection {
  /** Responses that have not ended. */
  readonly open: Set<HttpResponse>;
  /** Its calls. */
  http1?: IncomingHttp1Connection;
  http2?: IncomingHttp2Connection;
}

/** Closes a connection, after a short time for its pending output. */
export async function closeConnection(
  socket: Socket,
  { http2 }: AcceptedConnection,
  reason: MicroError,
): Promise<void> {
  if (socket.destroyed) return;
  const closed = closeOf(socket);
  if (http2 === undefined) {
    socket.end();
    socket.resume();
  } else {
    await within(goodbyeMs, http2.http2.drain(false));
    http2.http2.close(reason);
  }
  await within(lingerMs, closed);
  socket.destroy();
  await closed;
}

function closeOf(socket: Socket): Promise<void> {
  return socket.destroyed
    ? Promise.resolve()
    : new Promise((resolve) => socket.once("close", () => resolve()));
}

/** Ends what is still open on a connection whose socket is closed. */
export function connectionLost({ open, http1 }: AcceptedConnection): void {
  // For HTTP/1.1 requests whose turn had not come, Node 20 emits no event.
  for (const response of open) if (!("stream" in response)) response.emit("close");
  http1?.closed();
}
