import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import type { MicroError } from "@micro-es/runtime";
import { ClientConnection } from "../../runtime/src/transport/http2/client-connection.ts";
import { HeaderField } from "../../runtime/src/transport/http2/hpack/header-field.ts";
import type { HeaderList } from "../../runtime/src/transport/http2/hpack/header-list.ts";
import { defaultHttp2Limits, type Http2Limits } from "../../runtime/src/transport/http2/limits.ts";
import type { MessageHead } from "../../runtime/src/transport/http2/message-head.ts";
import { ServerConnection } from "../../runtime/src/transport/http2/server-connection.ts";
import type {
  Http2Stream,
  ResetBy,
  StreamHandler,
} from "../../runtime/src/transport/http2/stream.ts";
import { frame, preface, types } from "../hostile/raw-http2.ts";

/** Header fields from names and values. */
export function fields(...lines: readonly (readonly [string, string])[]): HeaderField[] {
  return lines.map(([name, value]) => new HeaderField(name, value));
}

export const ok: readonly HeaderField[] = fields([":status", "200"]);

/** A complete request header for a path. */
export function requestFields(
  path: string,
  ...more: readonly (readonly [string, string])[]
): HeaderField[] {
  return fields(
    [":method", "POST"],
    [":scheme", "http"],
    [":authority", "localhost"],
    [":path", path],
    ...more,
  );
}

/** What arrived on a stream, in the order of arrival. */
export class Received implements StreamHandler {
  stream: Http2Stream | undefined;
  head: MessageHead | undefined;
  list: HeaderList | undefined;
  trailers: HeaderList | undefined;
  readonly pieces: Uint8Array[] = [];
  ended = false;
  reset: { readonly code: number; readonly by: ResetBy } | undefined;
  writable = 0;
  due = 0;
  /** Whether data is consumed as it arrives. */
  consumes = true;
  /** Called when everything has arrived. */
  respond: ((stream: Http2Stream) => void) | undefined;

  get body(): Buffer {
    return Buffer.concat(this.pieces);
  }

  onHead(stream: Http2Stream, head: MessageHead, list: HeaderList): void {
    this.stream = stream;
    this.head = head;
    this.list = list;
  }

  onData(stream: Http2Stream, bytes: Uint8Array, start: number, end: number): void {
    this.pieces.push(bytes.subarray(start, end));
    if (this.consumes) stream.consume(end - start);
  }

  onEnd(stream: Http2Stream, trailers: HeaderList | undefined): void {
    this.ended = true;
    this.trailers = trailers;
    this.respond?.(stream);
  }

  onReset(_stream: Http2Stream, code: number, by: ResetBy): void {
    this.reset = { code, by };
  }

  onWritable(): void {
    this.writable++;
  }

  onDue(): void {
    this.due++;
  }
}

/** A server on this core, with everything that it has received. */
export class TestServer {
  readonly connections: ServerConnection[] = [];
  readonly requests: Received[] = [];
  readonly ended: { readonly reason: MicroError; readonly violated: boolean }[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(limits: Http2Limits, prepare: (request: Received) => void) {
    this.#server = createServer((socket) => {
      this.#sockets.add(socket);
      const connection = new ServerConnection(socket, "the test", limits, {
        requested: (stream, head, list, hasEnded) => {
          const request = new Received();
          request.onHead(stream, head, list);
          prepare(request);
          this.requests.push(request);
          if (hasEnded) request.onEnd(stream, undefined);
          return request;
        },
        connectionEnded: (_connection, reason, violated) => {
          this.ended.push({ reason, violated });
        },
      });
      this.connections.push(connection);
    });
  }

  static async start(
    limits: Partial<Http2Limits> = {},
    prepare: (request: Received) => void = () => undefined,
  ): Promise<TestServer> {
    const server = new TestServer({ ...defaultHttp2Limits, ...limits }, prepare);
    server.#server.listen(0, "127.0.0.1");
    await once(server.#server, "listening");
    return server;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** A client on this core. */
  connect(limits: Partial<Http2Limits> = {}): TestClient {
    return new TestClient(this.port, limits);
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** A client on this core. */
export class TestClient {
  readonly connection: ClientConnection;
  readonly connected: Promise<void>;
  reason: MicroError | undefined;
  goingAway = false;

  constructor(port: number, limits: Partial<Http2Limits> = {}) {
    let connected: () => void = () => undefined;
    this.connected = new Promise((resolve) => {
      connected = resolve;
    });
    this.connection = new ClientConnection(
      connect(port, "127.0.0.1"),
      "the server",
      { ...defaultHttp2Limits, ...limits },
      {
        connected: () => connected(),
        goingAway: () => {
          this.goingAway = true;
        },
        connectionEnded: (_connection, reason) => {
          this.reason = reason;
        },
      },
    );
  }

  request(path = "/", end = true, ...more: readonly (readonly [string, string])[]): Received {
    const received = new Received();
    const list = requestFields(path, ...more);
    received.stream = this.connection.request(undefined, list, end, received);
    return received;
  }

  [Symbol.dispose](): void {
    this.connection.socket.destroy();
  }
}

export interface RawFrame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

/** A peer that sends what it is given, and keeps the frames that it receives. */
export class FramePeer {
  readonly socket: Socket;
  readonly frames: RawFrame[] = [];
  isClosed = false;
  #bytes: Buffer = Buffer.alloc(0);
  #skip: number;

  /** @param skip bytes before the first frame */
  constructor(socket: Socket, skip = 0) {
    this.socket = socket;
    this.#skip = skip;
    socket.on("error", () => undefined);
    socket.on("data", (chunk: Buffer) => this.#push(chunk));
    socket.on("close", () => {
      this.isClosed = true;
    });
  }

  /** A client that has sent its preface and empty settings. */
  static client(port: number): FramePeer {
    const peer = new FramePeer(connect(port, "127.0.0.1"));
    peer.send(preface, frame(types.settings, 0, 0), frame(types.settings, 1, 0));
    return peer;
  }

  send(...frames: readonly Uint8Array[]): void {
    this.socket.write(Buffer.concat(frames));
  }

  /** The frames of a type, on a stream. */
  of(type: number, stream?: number): readonly RawFrame[] {
    return this.frames.filter(
      (it) => it.type === type && (stream === undefined || it.stream === stream),
    );
  }

  /** The error code of GOAWAY; undefined before that arrives. */
  get goaway(): number | undefined {
    return this.of(7).at(-1)?.payload.readUInt32BE(4);
  }

  /** The error code of RST_STREAM; undefined before that arrives. */
  reset(stream: number): number | undefined {
    return this.of(types.reset, stream)[0]?.payload.readUInt32BE();
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }

  #push(chunk: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    if (this.#bytes.length < this.#skip) return;
    this.#bytes = this.#bytes.subarray(this.#skip);
    this.#skip = 0;
    while (this.#bytes.length >= 9) {
      const end = 9 + this.#bytes.readUIntBE(0, 3);
      if (this.#bytes.length < end) return;
      this.frames.push({
        type: this.#bytes[3]!,
        flags: this.#bytes[4]!,
        stream: this.#bytes.readUInt32BE(5),
        payload: this.#bytes.subarray(9, end),
      });
      this.#bytes = this.#bytes.subarray(end);
    }
  }
}
