import { connect, type Socket } from "node:net";

/** Frames of HTTP/2 written by hand, for what Node's own client would never send. */

export const preface: Buffer = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

export const types = {
  data: 0,
  headers: 1,
  reset: 3,
  settings: 4,
  ping: 6,
  windowUpdate: 8,
  continuation: 9,
} as const;

export const endStream = 1;
export const endHeaders = 4;
const ack = 1;

export function frame(
  type: number,
  flags: number,
  stream: number,
  payload: Buffer = Buffer.alloc(0),
): Buffer {
  const header = Buffer.alloc(9);
  header.writeUIntBE(payload.length, 0, 3);
  header[3] = type;
  header[4] = flags;
  header.writeUInt32BE(stream, 5);
  return Buffer.concat([header, payload]);
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** The setting of that number, in a frame of its own. */
export function setting(id: number, value: number): Buffer {
  const payload = Buffer.alloc(6);
  payload.writeUInt16BE(id);
  payload.writeUInt32BE(value, 2);
  return frame(types.settings, 0, 0, payload);
}

/** A header of gRPC for this path, without compression of names. */
export function grpcHeader(path: string, more: Readonly<Record<string, string>> = {}): Buffer {
  const lines = {
    ":method": "POST",
    ":scheme": "http",
    ":path": path,
    ":authority": "localhost",
    "content-type": "application/grpc",
    te: "trailers",
    ...more,
  };
  return Buffer.concat(Object.entries(lines).map(([name, value]) => headerLine(name, value)));
}

/** A line of a header, without compression and of less than 127 bytes each. */
export function headerLine(name: string, value: string): Buffer {
  return Buffer.concat([
    Buffer.of(0, name.length),
    Buffer.from(name),
    Buffer.of(value.length),
    Buffer.from(value),
  ]);
}

/** A connection that takes what it is given and looks at nothing but whether it is closed. */
export class RawConnection {
  readonly socket: Socket;
  readonly closed: Promise<void>;
  #isClosed = false;

  constructor(port: number) {
    this.socket = connect({ host: "127.0.0.1", port });
    this.socket.on("error", () => undefined);
    this.socket.resume();
    this.closed = new Promise((resolve) => {
      this.socket.once("close", () => {
        this.#isClosed = true;
        resolve();
      });
    });
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Sends the preface and its own settings. */
  greet(...settings: Buffer[]): void {
    const own = settings.length > 0 ? settings : [frame(types.settings, 0, 0)];
    this.socket.write(Buffer.concat([preface, ...own, frame(types.settings, ack, 0)]));
  }

  /**
   * Sends again and again, until the connection is closed or so many bytes were taken.
   * @returns the bytes that the other side's system took before.
   */
  async flood(piece: (round: number) => Buffer, mostBytes: number): Promise<number> {
    for (let round = 0; !this.#isClosed && this.socket.bytesWritten < mostBytes; round++) {
      const flushed = this.socket.write(piece(round));
      await (flushed ? immediately() : Promise.race([this.#drained(), this.closed]));
    }
    return this.socket.bytesWritten;
  }

  close(): void {
    this.socket.destroy();
  }

  #drained(): Promise<void> {
    return new Promise((resolve) => this.socket.once("drain", () => resolve()));
  }
}

function immediately(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
