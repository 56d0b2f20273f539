import type { IncomingMessage, ServerResponse } from "node:http";

/** How long the rest of a request that is no longer needed may take, in milliseconds. */
const abandonedBodyMs = 1_000;

/**
 * Discards what the caller still sends after the end of its response. An HTTP/2 connection stops
 * such a request. HTTP/1.1 has no such signal: the next request of the connection follows the body,
 * so the body is read and discarded, for a limited time.
 */
export function abandonBody(request: IncomingMessage, response: ServerResponse): void {
  response.once("finish", () => {
    if (request.complete) return;
    const timer = setTimeout(() => request.socket.destroy(), abandonedBodyMs).unref();
    request.once("close", () => clearTimeout(timer));
    request.resume();
  });
}
