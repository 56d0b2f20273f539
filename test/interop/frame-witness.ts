import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/**
 * A proxy for plain HTTP/2 that records whether each gRPC message was marked as compressed: gRPC's
 * libraries hide that.
 */
export class FrameWitness {
  /**
   * The marks of the messages of each call that had one, in the order of the calls; of requests and
   * responses.
   */
  readonly requests: boolean[][] = [];
  readonly answers: boolean[][] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(host: string, port: number) {
    this.#server = createServer((from) => {
      const to = connect(port, host);
      this.#forward(from, to, new MessageMarks(this.requests, clientPreface));
      this.#forward(to, from, new MessageMarks(this.answers, 0));
    });
  }

  static async start(target: string): Promise<FrameWitness> {
    const [host = "", port] = target.split(":");
    const witness = new FrameWitness(host, Number(port));
    witness.#server.listen(0, "127.0.0.1");
    await once(witness.#server, "listening");
    return witness;
  }

  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await once(this.#server, "close");
  }

  #forward(from: Socket, to: Socket, marks: MessageMarks): void {
    this.#sockets.add(from);
    from.on("data", (bytes) => {
      marks.read(bytes);
      to.write(bytes);
    });
    from.on("error", () => to.destroy());
    from.on("close", () => {
      this.#sockets.delete(from);
      to.end();
    });
  }
}

/** Bytes that a client sends before its first frame (RFC 9113, 3.4). */
const clientPreface = 24;
const frameHeader = 9;
const dataFrame = 0;
const padded = 0x8;

/** The parser state of one call: where its next message begins. */
interface CallBytes {
  readonly marks: boolean[];
  readonly prefix: number[];
  left: number;
}

/** Finds gRPC messages in the frames of one direction of a connection. */
class MessageMarks {
  readonly #found: boolean[][];
  readonly #calls = new Map<number, CallBytes>();
  #rest: Buffer = Buffer.alloc(0);
  #skip: number;

  constructor(found: boolean[][], skip: number) {
    this.#found = found;
    this.#skip = skip;
  }

  read(bytes: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    if (this.#rest.length < this.#skip) return;
    let at = this.#skip;
    while (this.#rest.length - at >= frameHeader) {
      const length = this.#rest.readUIntBE(at, 3);
      if (this.#rest.length - at < frameHeader + length) break;
      const [type, flags] = [this.#rest[at + 3], this.#rest[at + 4] ?? 0];
      const payload = this.#rest.subarray(at + frameHeader, at + frameHeader + length);
      if (type === dataFrame) this.#data(this.#rest.readUInt32BE(at + 5), flags, payload);
      at += frameHeader + length;
    }
    this.#rest = this.#rest.subarray(at);
    this.#skip = 0;
  }

  #data(stream: number, flags: number, payload: Buffer): void {
    const hasPadding = (flags & padded) !== 0;
    const padding = hasPadding ? (payload[0] ?? 0) : 0;
    const bytes = payload.subarray(hasPadding ? 1 : 0, payload.length - padding);
    let call = this.#calls.get(stream);
    if (call === undefined) {
      call = { marks: [], prefix: [], left: 0 };
      this.#calls.set(stream, call);
    }
    for (let at = 0; at < bytes.length; ) {
      if (call.left > 0) {
        const taken = Math.min(call.left, bytes.length - at);
        call.left -= taken;
        at += taken;
        continue;
      }
      call.prefix.push(bytes[at++]!);
      if (call.prefix.length < 5) continue;
      if (call.marks.length === 0) this.#found.push(call.marks);
      call.marks.push(call.prefix[0] === 1);
      call.left = Buffer.from(call.prefix).readUInt32BE(1);
      call.prefix.length = 0;
    }
  }
}
