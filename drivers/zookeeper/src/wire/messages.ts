import { Buffer } from "node:buffer";
import { type JuteReader, JuteWriter } from "./jute.ts";

/** Numbers of responses that belong to no numbered request. */
export const xids = { event: -1, ping: -2, auth: -4, setWatches: -8 } as const;

/** The types of requests that need no {@link Operation}. */
const types = { ping: 11, auth: 100, setWatches2: 105, close: -11 } as const;

/** A session as a client asks for it, or for a new one with the id 0. */
export interface ConnectRequest {
  /** The largest transaction number that the client has seen. */
  readonly lastZxid: bigint;
  readonly timeoutMs: number;
  readonly sessionId: bigint;
  readonly password: Uint8Array;
}

export interface ConnectResponse {
  /** The granted timeout; 0 or less for a session that has expired. */
  readonly timeoutMs: number;
  readonly sessionId: bigint;
  readonly password: Buffer;
}

export interface ReplyHeader {
  readonly xid: number;
  /** The last transaction of the server. */
  readonly zxid: bigint;
  /** 0, or an error code of ZooKeeper. */
  readonly err: number;
}

/** What happened to a watched znode. */
export interface WatchEvent {
  /** One of {@link eventTypes}, or another one that is ignored. */
  readonly type: number;
  readonly path: string;
}

export const eventTypes = { created: 1, deleted: 2, changed: 3, children: 4 } as const;

export function encodeConnect(request: ConnectRequest): Buffer {
  const writer = new JuteWriter();
  writer.int(0);
  writer.long(request.lastZxid);
  writer.int(request.timeoutMs);
  writer.long(request.sessionId);
  writer.bytes(request.password);
  // No server that is cut off from the others.
  writer.bool(false);
  return writer.frame();
}

export function decodeConnect(reader: JuteReader): ConnectResponse {
  reader.int();
  const timeoutMs = reader.int();
  const sessionId = reader.long();
  // The view would keep all that arrived with it.
  return { timeoutMs, sessionId, password: Buffer.from(reader.bytes()) };
}

export function encodePing(): Buffer {
  return encodeHead(xids.ping, types.ping).frame();
}

export function encodeClose(xid: number): Buffer {
  return encodeHead(xid, types.close).frame();
}

export function encodeAuth(scheme: string, credential: Uint8Array): Buffer {
  const writer = encodeHead(xids.auth, types.auth);
  writer.int(0);
  writer.text(scheme);
  writer.bytes(credential);
  return writer.frame();
}

/**
 * Sets persistent watches on a connection, without a report of what happened before.
 * @param zxid the last transaction that the client has seen.
 */
export function encodeSetWatches(
  zxid: bigint,
  own: readonly string[],
  tree: readonly string[],
): Buffer {
  const writer = encodeHead(xids.setWatches, types.setWatches2);
  writer.long(zxid);
  const none: readonly string[] = [];
  for (const paths of [none, none, none, own, tree]) {
    writer.list(paths, (path) => writer.text(path));
  }
  return writer.frame();
}

/** Begins a request. */
export function encodeHead(xid: number, type: number): JuteWriter {
  const writer = new JuteWriter();
  writer.int(xid);
  writer.int(type);
  return writer;
}

export function decodeHeader(reader: JuteReader): ReplyHeader {
  return { xid: reader.int(), zxid: reader.long(), err: reader.int() };
}

export function decodeEvent(reader: JuteReader): WatchEvent {
  const type = reader.int();
  // The state of the connection.
  reader.int();
  return { type, path: reader.text() };
}
