import type { UniversalClientFn } from "@connectrpc/connect/protocol";
import type { MicroError } from "../../error.ts";
import type { HeaderLine } from "./http-metadata.ts";

/** What a call learns of its request on the way. */
export interface RequestWatch {
  /** Lines of the request's header that have a name several times. */
  readonly repeated: ReadonlyMap<string, readonly string[]>;
  /** The request goes out. */
  sent(): void;
  /** The header of the answer, as it came. */
  header(lines: readonly HeaderLine[]): void;
  /** The trailers of the answer, as they came. */
  trailers(lines: readonly HeaderLine[]): void;
  /** The other side has certainly not looked at the request. */
  refused(): void;
  /** The other side gave the call up, without an answer. */
  cancelled(): void;
  /** The connection ended before the answer did. */
  lost(): void;
}

/** A way to send requests to one server. */
export interface HttpLink {
  /** Sends a request for a call. */
  client(watch: RequestWatch): UniversalClientFn;
  /** Sends nothing more, and closes when the last request is answered; for this reason, unless another came first. */
  finish(reason: MicroError): void;
  /** Closes now. */
  destroy(reason: MicroError): void;
}

/** Who is told of what happens to a link. */
export interface HttpLinkOwner {
  /** The other side takes no further request. */
  goingAway(): void;
  /** It is over, and why unless that was asked for here. Called once. */
  linkClosed(reason: MicroError): void;
}
