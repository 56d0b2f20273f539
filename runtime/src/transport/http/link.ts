import type { UniversalClientFn } from "@connectrpc/connect/protocol";
import type { MicroError } from "../../base/error.ts";
import type { HeaderLine } from "../http-headers.ts";

/** Receives what happens to the request of a call. */
export interface RequestWatch {
  /** Lines of the request's header whose name occurs several times. */
  readonly repeated: ReadonlyMap<string, readonly string[]>;
  /** The request is being sent. */
  sent(): void;
  /** The header of the response, as received. */
  header(lines: readonly HeaderLine[]): void;
}

/** Sends requests to one server. */
export interface HttpLink {
  /** Returns the function that sends the request of a call. */
  client(watch: RequestWatch): UniversalClientFn;
  /**
   * Sends no further requests, and closes when the last one has its response; with this reason,
   * unless there already is one.
   */
  finish(reason: MicroError): void;
  /** Closes at once. */
  destroy(reason: MicroError): void;
}

/** Receives what happens to a link. */
export interface HttpLinkOwner {
  /**
   * A request failed with its connection before any response. The dialer decides when the next
   * connection is opened.
   */
  failing(reason: MicroError): void;
  /** The link has closed; the reason is absent if it was closed from this side. Called once. */
  linkClosed(reason: MicroError): void;
}
