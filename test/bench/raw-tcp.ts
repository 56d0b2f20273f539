/**
 * Length-prefixed frames echoed over TCP: the throughput that the kernel and Node's sockets leave
 * to any protocol. No codec, no names, no deadlines, no flow control.
 */
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import type { BenchCaller, BenchServer } from "./contender.ts";

/** Sends length-prefixed frames. */
interface FrameSocket {
  send(payload: Uint8Array): void;
}

/** Frames of one tick go out in one write. */
export class CoalescingSocket implements FrameSocket {
  readonly #socket: Socket;
  #slab = Buffer.allocUnsafeSlow(256 * 1024);
  #used = 0;
  #scheduled = false;

  constructor(socket: Socket) {
    this.#socket = socket.setNoDelay(true);
  }

  send(payload: Uint8Array): void {
    const size = payload.length + 4;
    if (this.#used + size > this.#slab.length) {
      this.#flush();
      if (size > this.#slab.length) this.#slab = Buffer.allocUnsafeSlow(size * 4);
    }
    this.#slab.writeUInt32BE(payload.length, this.#used);
    this.#slab.set(payload, this.#used + 4);
    this.#used += size;
    if (!this.#scheduled) {
      this.#scheduled = true;
      process.nextTick(() => this.#flush());
    }
  }

  #flush(): void {
    this.#scheduled = false;
    if (this.#used === 0) return;
    this.#socket.write(this.#slab.subarray(0, this.#used));
    if (this.#socket.writableLength > 0) this.#slab = Buffer.allocUnsafeSlow(this.#slab.length);
    this.#used = 0;
  }
}

/** Each frame goes out in a write of its own. */
export class PlainSocket implements FrameSocket {
  readonly #socket: Socket;

  constructor(socket: Socket) {
    this.#socket = socket.setNoDelay(true);
  }

  send(payload: Uint8Array): void {
    const frame = Buffer.allocUnsafe(payload.length + 4);
    frame.writeUInt32BE(payload.length, 0);
    frame.set(payload, 4);
    this.#socket.write(frame);
  }
}

/** Calls `onFrame` for each whole frame of what arrives. */
function frames(socket: Socket, onFrame: (payload: Buffer) => void): void {
  let parts: Buffer[] = [];
  let have = 0;
  socket.on("data", (chunk: Buffer) => {
    let data = chunk;
    if (have > 0) {
      parts.push(chunk);
      have += chunk.length;
      const first = parts[0] ?? chunk;
      if (first.length >= 4 && have < first.readUInt32BE(0) + 4) return;
      data = Buffer.concat(parts, have);
    }
    let at = 0;
    while (data.length - at >= 4) {
      const end = at + 4 + data.readUInt32BE(at);
      if (end > data.length) break;
      onFrame(data.subarray(at + 4, end));
      at = end;
    }
    parts = at < data.length ? [data.subarray(at)] : [];
    have = data.length - at;
  });
}

/** Echoes frames. */
export async function serve(
  FrameSocket: new (socket: Socket) => FrameSocket,
): Promise<BenchServer> {
  const server = createServer((socket) => {
    const out = new FrameSocket(socket);
    frames(socket, (payload) => out.send(payload));
    socket.on("error", () => socket.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  return {
    address: String(port),
    close: async () => {
      server.close();
    },
  };
}

export async function caller(
  address: string,
  FrameSocket: new (socket: Socket) => FrameSocket,
): Promise<BenchCaller> {
  const socket = connect(Number(address), "127.0.0.1");
  await once(socket, "connect");
  const out = new FrameSocket(socket);
  const waiting: ((length: number) => void)[] = [];
  let head = 0;
  frames(socket, (payload) => {
    waiting[head++]?.(payload.length);
    if (head > 4096) {
      waiting.splice(0, head);
      head = 0;
    }
  });
  return {
    unary(payload) {
      out.send(payload);
      return new Promise((resolve) => waiting.push(resolve));
    },
    async connectOnce() {
      const fresh = await caller(address, FrameSocket);
      await fresh.unary?.(new Uint8Array(64));
      await fresh.close();
    },
    async close() {
      socket.destroy();
    },
  };
}
