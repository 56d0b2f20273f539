import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** What a program sent at once, and how many frames of the server it then waited for. */
export interface Turn {
  /** In base64. */
  readonly sent: string;
  readonly frames: number;
}

const heartbeat = 8;

/** Counts the frames of AMQP in a stream of bytes; the payloads of all are kept. */
export class FrameReader {
  readonly payloads: Buffer[] = [];
  #rest: Buffer = Buffer.alloc(0);

  read(bytes: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    for (;;) {
      const size = this.#rest.length < 7 ? undefined : this.#rest.readUInt32BE(3);
      if (size === undefined || this.#rest.length < size + 8) return;
      if (this.#rest[0] !== heartbeat) this.payloads.push(this.#rest.subarray(7, 7 + size));
      this.#rest = this.#rest.subarray(size + 8);
    }
  }
}

/** Says what a program said to a server before, and waits for as many frames as it did. */
export class ReplayedSession implements AsyncDisposable {
  readonly #socket: Socket;
  readonly #reader = new FrameReader();

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (bytes: Buffer) => this.#reader.read(bytes));
    socket.on("error", () => {});
  }

  static async start(port: number, turns: readonly Turn[]): Promise<ReplayedSession> {
    const socket = connect({ host: "127.0.0.1", port });
    const session = new ReplayedSession(socket);
    await once(socket, "connect");
    let frames = 0;
    for (const turn of turns) {
      socket.write(Buffer.from(turn.sent, "base64"));
      frames += turn.frames;
      while (session.payloads.length < frames) {
        if (socket.destroyed) throw new Error("RabbitMQ ended a replayed conversation");
        await sleep(5);
      }
    }
    return session;
  }

  /** The payloads of all frames of the server. */
  get payloads(): readonly Buffer[] {
    return this.#reader.payloads;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.destroy();
  }
}
