import type { Deadline } from "../../base/deadline.ts";
import type { HeaderField } from "../http2/hpack/header-field.ts";
import type { HeaderList } from "../http2/hpack/header-list.ts";
import type { HeaderTemplate } from "../http2/hpack/header-template.ts";
import type { MessageHead } from "../http2/message-head.ts";
import type { ResetBy } from "../http2/stream.ts";

/**
 * What carries one call, over either version of HTTP: a stream of HTTP/2, or a request and its
 * response. It has the members of HTTP/2's stream that calls use.
 */
export interface CallStream {
  handler: CallStreamHandler;
  /** Whether this side has sent everything. */
  readonly localEnded: boolean;
  /** Whether it is no longer open, for whatever reason. */
  readonly closed: boolean;
  /** Whether something waits to be sent. */
  readonly isWaiting: boolean;
  /** When {@link CallStreamHandler.onDue} is called. */
  dueAt: Deadline;
  /** Sends the header of a response, and with `end` nothing else. */
  head(template: HeaderTemplate | undefined, fields?: readonly HeaderField[], end?: boolean): void;
  /**
   * Sends data, which must not be modified afterwards. Returns whether more may follow at once;
   * otherwise the sender should wait until {@link CallStreamHandler.onWritable}.
   */
  send(bytes: Uint8Array, start: number, end: number, isLast?: boolean): boolean;
  /** Sends trailers, after all data. */
  trailers(template: HeaderTemplate | undefined, fields?: readonly HeaderField[]): void;
  /** Forgets what waits to be sent. The stream must then be reset, if not at once. */
  discard(): void;
  /** Reports that so many bytes of data are no longer held, so that the peer may send as many. */
  consume(bytes: number): void;
  /** Ends the stream now, in both directions. */
  reset(code: number): void;
  /** Has {@link CallStreamHandler.onDue} called at this time, or a little later. */
  wakeAt(deadline: Deadline): void;
}

/** Receives what happens to a {@link CallStream}, as HTTP/2's `StreamHandler` describes it. */
export interface CallStreamHandler {
  onHead(stream: CallStream, head: MessageHead, list: HeaderList): void;
  onData(stream: CallStream, bytes: Uint8Array, start: number, end: number): void;
  onEnd(stream: CallStream, trailers: HeaderList | undefined): void;
  onReset(stream: CallStream, code: number, by: ResetBy): void;
  onWritable(stream: CallStream): void;
  onDue(stream: CallStream, now: Deadline): void;
  onClosed?(stream: CallStream): void;
}
