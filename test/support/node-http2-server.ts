import { createServer, type Http2Server, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import { httpTransport } from "@micro-es/runtime";
import type { Channel, TransportLimits } from "@micro-es/runtime/driver";
import { afterEach } from "vitest";
import type { HttpTransportOptions } from "../../runtime/src/transport/http/transport.ts";

/** What Node's server makes of calls, in the place of another server. */
export interface NodeHttp2Server {
  /** Such as `http://127.0.0.1:4000`. */
  readonly address: string;
  readonly server: Http2Server;
  readonly sockets: Socket[];
}

type Handler = (stream: ServerHttp2Stream, header: Record<string, unknown>) => void;

const open: (() => unknown)[] = [];

/** Closes the servers and channels of this file after each test of a file. */
export function closeAfterEach(): void {
  afterEach(async () => {
    for (const close of open.splice(0).reverse()) await close();
  });
}

/** Closes something after the test. */
export function closeAfterTest(close: () => unknown): void {
  open.push(close);
}

/** Starts a server that handles each request by `handler`. */
export async function serveByNode(handler: Handler, settings = {}): Promise<NodeHttp2Server> {
  const server = createServer({ settings });
  const sockets: Socket[] = [];
  server.on("connection", (socket: Socket) => {
    sockets.push(socket);
    socket.on("error", () => undefined);
  });
  server.on("sessionError", () => undefined);
  server.on("stream", (stream, header) => {
    stream.on("error", () => undefined);
    handler(stream, header);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  open.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { server, sockets, address: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

/** Opens a channel to a server. */
export async function dialled(
  { address }: Pick<NodeHttp2Server, "address">,
  options: HttpTransportOptions & Partial<TransportLimits> = {},
): Promise<Channel> {
  const channel = await httpTransport(options).dial(address);
  open.push(() => channel.close());
  return channel;
}

/** A message with its prefix. */
export function enveloped(message: string | Uint8Array, flags = 0): Buffer {
  const bytes = Buffer.from(message);
  const prefix = Buffer.alloc(5);
  prefix[0] = flags;
  prefix.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([prefix, bytes]);
}
