import type { Socket } from "node:net";
import { MicroError } from "../error.ts";
import type { WireProtocol } from "./front.ts";
import { preface } from "./native/protocol.ts";

/** How HTTP/2 begins, when it is known beforehand that it is spoken. */
const http2Preface = "PRI";
/** How each message of go-micro's clients begins; nothing else that is served here has this path. */
const goMicroRequest = "POST / ";
/** The most bytes that it takes to tell protocols apart. */
const enough = goMicroRequest.length;

/**
 * Tells by the first bytes of a connection what it speaks (docs/wire-protocol.md, "Connections"); undefined where
 * they are those of no protocol, `more` where too few have come to say.
 */
export function protocolOf(bytes: Uint8Array): WireProtocol | "more" | undefined {
  const first = bytes[0];
  if (first === undefined) return "more";
  if (first === preface[0]) return "native";
  // A record of TLS that is part of a handshake.
  if (first === 0x16) return "tls";
  const text = Buffer.from(bytes.subarray(0, enough)).toString("latin1");
  if (text.startsWith(http2Preface)) return "http2";
  if (text.startsWith(goMicroRequest)) return "go-micro";
  if (http2Preface.startsWith(text) || goMicroRequest.startsWith(text)) return "more";
  // Every HTTP method is a word of capital letters.
  return /^[A-Z]+(?: .*)?$/s.test(text) ? "http1" : undefined;
}

/** Who waits for connections to say what they speak. */
export interface FirstBytesOwner {
  /** The connection's first bytes are those of the protocol, and unread. */
  recognized(socket: Socket, protocol: WireProtocol): void;
  /** The connection said nothing, or nothing known, and is closed. */
  unrecognized(socket: Socket, reason: MicroError): void;
}

/** Reads the first bytes of connections, and gives them back for whoever serves the protocol. */
export class FirstBytes {
  readonly #owner: FirstBytesOwner;
  readonly #timeoutMs: number;
  /** Connections that have not said what they speak. */
  readonly #waiting = new Set<Socket>();

  /** @param timeoutMs a connection that has not said enough by then is closed. */
  constructor(owner: FirstBytesOwner, timeoutMs: number) {
    this.#owner = owner;
    this.#timeoutMs = timeoutMs;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** Waits for what the connection says. */
  read(socket: Socket): void {
    this.#waiting.add(socket);
    const timer = setTimeout(() => {
      leave();
      this.#close(
        socket,
        new MicroError(
          "deadline_exceeded",
          `the connection did not say what it speaks within ${this.#timeoutMs} ms`,
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
    // Only put back at the end: bytes that are put back make the socket readable again at once.
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

  /** Closes the connections that have said nothing yet. */
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
