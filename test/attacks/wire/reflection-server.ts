import { once } from "node:events";
import { createServer, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { Target } from "../target.ts";
import { bytesField } from "./protobuf.ts";

const textField = (number: number, text: string) => bytesField(number, Buffer.from(text));

/** A file descriptor with a name, imports, and whatever else. */
export function fileDescriptor(
  name: string,
  dependencies: readonly string[],
  more: Buffer = Buffer.alloc(0),
): Buffer {
  return Buffer.concat([
    textField(1, name),
    ...dependencies.map((dependency) => textField(3, dependency)),
    textField(12, "proto3"),
    more,
  ]);
}

/**
 * A gRPC server whose reflection lists one service and answers each question for a file with
 * `files()`. The bytes that it sends are counted as those of the attack.
 */
async function serveReflection(
  target: Target,
  files: (requested: Buffer) => readonly Buffer[],
): Promise<{ readonly address: string; close(): void }> {
  const server = createServer();
  const sessions = new Set<ServerHttp2Session>();
  server.on("session", (session) => {
    sessions.add(session);
    session.on("error", () => undefined);
  });
  server.on("stream", (stream) => {
    stream.on("error", () => undefined);
    stream.respond({ ":status": 200, "content-type": "application/grpc" });
    let pending = Buffer.alloc(0);
    stream.on("data", (chunk: Buffer) => {
      pending = Buffer.concat([pending, chunk]);
      while (pending.length >= 5 && pending.length >= 5 + pending.readUInt32BE(1)) {
        const message = pending.subarray(5, 5 + pending.readUInt32BE(1));
        pending = pending.subarray(5 + message.length);
        respond(target, stream, answerTo(message, files));
      }
    });
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return {
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close() {
      for (const session of sessions) session.destroy();
      server.close();
    },
  };
}

/** Has the target ask such a server, and throws when it does not end in time with this code. */
export async function expectRefusal(
  target: Target,
  code: string,
  files: (requested: Buffer) => readonly Buffer[],
): Promise<void> {
  const server = await serveReflection(target, files);
  try {
    const late = sleep(20_000, "no end within 20 s", { ref: false });
    const ended = await Promise.race([target.perform(server.address), late]);
    if (ended !== code) throw new Error(`the schema ended with ${ended}, not with ${code}`);
  } finally {
    server.close();
  }
}

const listServices = 0x3a;

function answerTo(message: Buffer, files: (requested: Buffer) => readonly Buffer[]): Buffer {
  if (message[0] === listServices) return bytesField(6, bytesField(1, textField(1, "t.v1.S")));
  return bytesField(4, Buffer.concat(files(message).map((file) => bytesField(1, file))));
}

function respond(target: Target, stream: ServerHttp2Stream, payload: Buffer): void {
  const envelope = Buffer.alloc(5);
  envelope.writeUInt32BE(payload.length, 1);
  target.count(envelope.length + payload.length);
  stream.write(Buffer.concat([envelope, payload]));
}
