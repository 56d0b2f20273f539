import { endHeaders, frame, preface, setting, types, uint32 } from "../../hostile/raw-http2.ts";
import type { AttackConnection, Target } from "../target.ts";

/** Frames of HTTP/2 against a target, written by hand. */

/** Connects, and takes as much of responses as the target wants to send. */
export async function connectHttp2(target: Target): Promise<AttackConnection> {
  const connection = await target.connect();
  const window = frame(types.windowUpdate, 0, 0, uint32(2 ** 30));
  await connection.write(Buffer.concat([preface, setting(4, 2 ** 30), window]));
  return connection;
}

/** Responds to PING, as every implementation does, so that a connection is not taken for dead. */
export function respondToPing(connection: AttackConnection): void {
  let unread = Buffer.alloc(0);
  connection.socket.on("data", (bytes) => {
    unread = Buffer.concat([unread, bytes]);
    while (unread.length >= 9) {
      const end = 9 + unread.readUIntBE(0, 3);
      if (unread.length < end) return;
      if (unread[3] === types.ping && unread[4] === 0) {
        connection.socket.write(frame(types.ping, 1, 0, Buffer.from(unread.subarray(9, end))));
      }
      unread = unread.subarray(end);
    }
  });
}

/** The stream of a connection's request number `index`. */
export function streamOf(index: number): number {
  return 1 + 2 * index;
}

/** The header of a request, which its body follows. */
export function headersFrame(stream: number, header: Buffer): Buffer {
  return frame(types.headers, endHeaders, stream, header);
}

/**
 * Floods a connection with the same kind of frames until it is closed, at most `mostBytes`. Throws
 * when it is not.
 */
export async function floodUntilClosed(
  connection: AttackConnection,
  mostBytes: number,
  pieceOf: (round: number) => Buffer,
): Promise<void> {
  for (let round = 0; connection.socket.bytesWritten < mostBytes; round++) {
    if (!(await connection.write(pieceOf(round)))) return;
    await new Promise(setImmediate);
  }
  throw new Error(`the connection took ${mostBytes} bytes and was not closed`);
}
