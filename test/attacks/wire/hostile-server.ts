import { createServer, type Socket } from "node:net";
import { preface, types } from "../../hostile/raw-http2.ts";
import type { Target } from "../target.ts";

/** A hostile server that the target calls. What it sends counts as sent by the attack. */
export interface HostileServer {
  /** Such as `127.0.0.1:4000`. */
  readonly address: string;
}

/**
 * Serves connections of the target until the process of the attack ends or
 * {@link Target.closeConnections}.
 */
export async function hostileServer(
  target: Target,
  accept: (socket: Socket) => void,
): Promise<HostileServer> {
  const server = createServer({ noDelay: true }, (socket) => {
    target.watch(socket);
    accept(socket);
  });
  server.unref();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  return { address: `127.0.0.1:${port}` };
}

/** Writes the bytes one by one, each in a segment of its own, until the connection is closed. */
export async function writeSingly(socket: Socket, bytes: Buffer): Promise<void> {
  for (let at = 0; at < bytes.length && socket.writable; at++) {
    socket.write(bytes.subarray(at, at + 1));
    await new Promise(setImmediate);
  }
}

/** Calls back when the head of the first request of an HTTP/2 connection has arrived. */
export function onHttp2Request(socket: Socket, respond: () => void): void {
  let bytes = Buffer.alloc(0);
  const take = (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk]);
    for (let at = preface.length; at + 9 <= bytes.length; at += 9 + bytes.readUIntBE(at, 3)) {
      if (bytes[at + 3] !== types.headers) continue;
      socket.off("data", take);
      socket.resume();
      respond();
      return;
    }
  };
  socket.on("data", take);
}
