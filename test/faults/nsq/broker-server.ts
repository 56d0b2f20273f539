import { connect, type Socket } from "node:net";
import { type NsqdServer, startNsqd } from "../../../drivers/nsq/test/server.ts";
import type { BrokerServer } from "../broker/backend.ts";

/** An nsqd, and what was published on the topic `work`, which a channel of its own receives. */
export async function startBrokerServer(): Promise<BrokerServer> {
  const nsqd: NsqdServer = await startNsqd();
  const archive = await Archive.open(nsqd.port);
  return {
    url: `nsq://${nsqd.address}`,
    port: nsqd.port,
    kill: () => nsqd.kill(),
    start: () => nsqd.start(),
    storedIds: async () => {
      let before = -1;
      while (before !== archive.ids.length) {
        before = archive.ids.length;
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
      return archive.ids;
    },
    pending: async () => (await nsqd.depth("work", "workers")) ?? 0,
    hasGroup: async () => (await nsqd.depth("work", "workers")) !== undefined,
    async [Symbol.asyncDispose]() {
      archive.close();
      await nsqd.close();
    },
  };
}

/** Takes every message of the topic, and reads its envelope, without the driver. */
class Archive {
  readonly ids: string[] = [];
  readonly #socket: Socket;
  #buffer: Buffer = Buffer.alloc(0);

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk) => this.#receive(chunk));
    socket.on("error", () => {});
  }

  static async open(port: number): Promise<Archive> {
    const socket = connect(port, "127.0.0.1");
    const archive = new Archive(socket);
    socket.write("  V2SUB work archive\nRDY 2000\n");
    await new Promise<void>((resolve, reject) => {
      socket.once("data", () => resolve());
      socket.once("close", () => reject(new Error("nsqd refused the archive")));
    });
    return archive;
  }

  close(): void {
    this.#socket.destroy();
  }

  #receive(chunk: Buffer): void {
    this.#buffer = Buffer.concat([this.#buffer, chunk]);
    while (this.#buffer.length >= 4) {
      const end = 4 + this.#buffer.readUInt32BE(0);
      if (this.#buffer.length < end) return;
      const frame = this.#buffer.subarray(4, end);
      this.#buffer = this.#buffer.subarray(end);
      if (frame.readUInt32BE(0) === 2) this.#take(frame);
      else if (frame.includes("_heartbeat_")) this.#socket.write("NOP\n");
    }
  }

  #take(frame: Buffer): void {
    const { Header } = JSON.parse(frame.toString("utf8", 30)) as {
      readonly Header: Readonly<Record<string, string>>;
    };
    this.ids.push(Header["Micro-ID"] ?? "");
    this.#socket.write(`FIN ${frame.toString("latin1", 14, 30)}\n`);
  }
}
