import type { Socket } from "node:net";
import { MicroError } from "../../base/error.ts";
import { preface } from "../native/protocol.ts";
import type { WireProtocol } from "./protocol-server.ts";

/** The start of HTTP/2 with prior knowledge. */
const http2Preface = "PRI";
/**
 * The start of each message from a go-micro client; no other protocol served here uses this path.
 */
const goMicroRequest = "POST / ";
/** The most bytes needed to distinguish the protocols. */
const enough = goMicroRequest.length;

/**
 * Detects the protocol of a connection from its first bytes (docs/wire-protocol.md, "Opening").
 * Returns undefined if they match no protocol, and `more` if they are too few to decide.
 */
export function protocolOf(bytes: Uint8Array): WireProtocol | "more" | undefined {
  const first = bytes[0];
  if (first === undefined) return "more";
  if (first === preface[0]) return "native";
  // A TLS record that is part of a handshake.
  if (first === 0x16) return "tls";
  const text = Buffer.from(bytes.subarray(0, enough)).toString("latin1");
  if (text.startsWith(http2Preface)) return "http2";
  if (text.startsWith(goMicroRequest)) return "go-micro";
  if (http2Preface.startsWith(text) || goMicroRequest.startsWith(text)) return "more";
  // Every HTTP method is a word of capital letters.
  return /^[A-Z]+(?: .*)?$/s.test(text) ? "http1" : undefined;
}

/** Callbacks through which a {@link ProtocolSniffer} reports the protocol of a connection. */
export interface ProtocolSnifferOwner {
  /** Called when the connection's first bytes, still unread, match a protocol. */
  recognized(socket: Socket, protocol: WireProtocol): void;
  /** Called when the connection sent nothing, or nothing known, and was closed. */
  unrecognized(socket: Socket, reason: MicroError): void;
}

/** Reads the first bytes of connections, and puts them back for the server of the protocol. */
export class ProtocolSniffer {
  readonly #owner: ProtocolSnifferOwner;
  readonly #timeoutMs: number;
  /** Connections whose protocol is not known yet. */
  readonly #waiting = new Set<Socket>();

  /** @param timeoutMs after which a connection is closed if it has not sent enough bytes. */
  constructor(owner: ProtocolSnifferOwner, timeoutMs: number) {
    this.#owner = owner;
    this.#timeoutMs = timeoutMs;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** Waits for the first bytes of the connection. */
  read(socket: Socket): void {
    this.#waiting.add(socket);
    const timer = setTimeout(() => {
      leave();
      this.#close(
        socket,
        new MicroError(
          "deadline_exceeded",
          `no protocol was recognized on the connection within ${this.#timeoutMs} ms`,
          { outcome: "not-executed" },
        ),
      );
    }, this.#timeoutMs).unref();
    const leave = () => {
      clearTimeout(timer);
      this.#waiting.delete(socket);
      socket.off("readable", look);
      socket.off("close", leave);
    };
    // Bytes are put back only at the end, because that makes the socket readable again at once.
    let seen: Uint8Array = new Uint8Array(0);
    const look = () => {
      const some: Buffer | null = socket.read(
        Math.min(enough - seen.length, socket.readableLength),
      );
      if (some !== null) seen = Buffer.concat([seen, some]);
      const protocol = protocolOf(seen);
      if (protocol === "more" && !socket.readableEnded) return;
      leave();
      if (seen.length > 0 && !socket.readableEnded) socket.unshift(seen);
      if (protocol === undefined || protocol === "more") this.#close(socket, unknown(seen));
      else this.#owner.recognized(socket, protocol);
    };
    socket.on("readable", look);
    socket.once("close", leave);
    socket.on("error", () => undefined);
  }

  /** Closes the connections whose protocol is not known yet. */
  close(): void {
    for (const socket of this.#waiting) socket.destroy();
  }

  #close(socket: Socket, reason: MicroError): void {
    this.#owner.unrecognized(socket, reason);
    socket.destroy();
  }
}

function unknown(bytes: Uint8Array): MicroError {
  const seen = Buffer.from(bytes).toString("hex");
  return new MicroError(
    "invalid_argument",
    seen === ""
      ? "the connection was closed before it said what it speaks"
      : `the connection begins with the bytes ${seen}, which no protocol here does`,
    { outcome: "not-executed" },
  );
}
