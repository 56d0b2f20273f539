import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";

/** A request as either version of HTTP has it. */
export type HttpRequest = IncomingMessage | Http2ServerRequest;
/** Its answer. */
export type HttpResponse =
  | (ServerResponse & { req: IncomingMessage })
  | (Http2ServerResponse & { req: Http2ServerRequest });
