import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { deflateSync } from "node:zlib";
import { AUTHORITATIVE_ANSWER, encode, type Question } from "dns-packet";
import type { Target } from "../target.ts";

const group = "224.0.0.251";
const port = 20_000 + (process.pid % 20_000);

/** A target that is on mDNS, on loopback and a port that only this run uses. */
export const mdnsEnvironment = {
  MICRO_REGISTRY: "mdns",
  MICRO_MDNS_INTERFACE: "127.0.0.1",
  MICRO_MDNS_PORT: String(port),
} as const;

/** Options of a registry on the target's link. */
export const mdnsOptions = { interface: "127.0.0.1", port } as const;

/** What a record says of a node. */
export interface ForgedRecord {
  /** The id before `.target.micro`. */
  readonly id: string;
  readonly port: number;
  /** JSON of the TXT record. */
  readonly text: string;
  readonly ttlSeconds?: number;
}

/** JSON of a TXT record of a node of the target's service. */
export function recordText(revision: number, ttlMs = 3_600_000): string {
  const members = { Service: "target", Version: "latest", Metadata: {}, Endpoints: [] };
  return JSON.stringify({ ...members, MicroES: { ttlMs, revision } });
}

/** A packet that announces a node of the target's service. */
export function announcement({ id, port, text, ttlSeconds = 120 }: ForgedRecord): Buffer {
  const name = `${id}.target.micro`;
  const hex = deflateSync(text, { level: 9 }).toString("hex");
  const data = (hex.match(/.{1,255}/g) ?? []).map((part) => Buffer.from(part));
  return encode({
    type: "response",
    flags: AUTHORITATIVE_ANSWER,
    answers: [
      { type: "SRV", name, ttl: ttlSeconds, data: { priority: 0, weight: 0, port, target: "h" } },
      { type: "A", name: "h", ttl: ttlSeconds, data: "127.0.0.1" },
      { type: "TXT", name, ttl: ttlSeconds, data },
    ],
  });
}

export function query(questions: readonly Question[]): Buffer {
  return encode({ type: "query", id: 1, questions: [...questions] });
}

/** A peer on the link of the target. */
export class LinkPeer implements AsyncDisposable {
  readonly #socket: Socket;
  readonly #target: Target;
  receivedBytes = 0;

  private constructor(socket: Socket, target: Target) {
    this.#socket = socket;
    this.#target = target;
    socket.on("message", (bytes) => {
      this.receivedBytes += bytes.length;
    });
  }

  static async join(target: Target): Promise<LinkPeer> {
    const socket = createSocket("udp4");
    socket.bind(0, "127.0.0.1");
    await once(socket, "listening");
    socket.setMulticastInterface("127.0.0.1");
    return new LinkPeer(socket, target);
  }

  /**
   * Sends packets, slowly enough that the target's socket does not drop many, and waits until they
   * are read.
   */
  async send(packets: Iterable<Buffer>): Promise<void> {
    let sent = 0;
    for (const packet of packets) {
      await new Promise<void>((resolve, reject) => {
        this.#socket.send(packet, port, group, (error) => (error ? reject(error) : resolve()));
      });
      this.#target.count(packet.length);
      if (++sent % 50 === 0) await this.#target.usage();
    }
    // The target has processed everything read from the socket before it responds.
    await sleep(100);
    await this.#target.usage();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise<void>((resolve) => this.#socket.close(resolve));
  }
}
