import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";

/** A request of either version of HTTP. */
export type HttpRequest = IncomingMessage | Http2ServerRequest;
/** A response of either version of HTTP. */
export type HttpResponse =
  | (ServerResponse & { req: IncomingMessage })
  | (Http2ServerResponse & { req: Http2ServerRequest });
