import { randomBytes } from "node:crypto";
import { connect } from "node:net";
import type { RequestFailure } from "./environment.ts";
import {
  clientHello,
  randomBytesOfHello,
  readServerHello,
  serverHelloBytes,
  streamKeys,
} from "./handshake.ts";
import type { ClusterKey } from "./keyring.ts";
import type { Endpoint } from "./member-update.ts";
import { ChunkOpener, ChunkSealer } from "./sealed-chunks.ts";

/** A request on a connection of its own. */
export interface StreamRequest {
  readonly to: Endpoint;
  readonly key: ClusterKey;
  readonly message: Uint8Array;
  readonly timeoutMs: number;
  /** Called once, with undefined and the reason if no valid response came in time. */
  done(response: Buffer | undefined, failure?: RequestFailure): void;
}

/** Sends a request. Returns a function that ends it early. */
export function sendRequest({ to, key, message, timeoutMs, done }: StreamRequest): () => void {
  const socket = connect({ host: to.host, port: to.port });
  const random = randomBytes(randomBytesOfHello);
  let hello = Buffer.alloc(0);
  let opener: ChunkOpener | undefined;
  let isDone = false;
  const finish = (response: Buffer | undefined, failure?: RequestFailure): void => {
    if (isDone) return;
    isDone = true;
    clearTimeout(timer);
    socket.destroy();
    done(response, failure);
  };
  const timer = setTimeout(() => finish(undefined, "silent"), timeoutMs);
  const take = (bytes: Buffer): void => {
    let rest = bytes;
    if (opener === undefined) {
      hello = Buffer.concat([hello, bytes]);
      if (hello.length < serverHelloBytes) return;
      const server = readServerHello(hello.subarray(0, serverHelloBytes));
      if (server === undefined) {
        finish(undefined, "ended");
        return;
      }
      const keys = streamKeys(key, random, server);
      opener = new ChunkOpener(keys.toClient);
      socket.write(new ChunkSealer(keys.toServer).seal(message));
      rest = hello.subarray(serverHelloBytes);
    }
    if (rest.length === 0) return;
    const response = opener.push(rest);
    if (response !== undefined) finish(response);
  };
  socket.setNoDelay(true);
  socket.on("connect", () => socket.write(clientHello(key, random)));
  socket.on("data", (bytes) => {
    try {
      if (!isDone) take(bytes);
    } catch {
      // A peer without the key, such as another program at this address.
      finish(undefined, "ended");
    }
  });
  socket.on("error", ({ code }: NodeJS.ErrnoException) => {
    const failures = { ECONNREFUSED: "refused", ECONNRESET: "ended", EPIPE: "ended" } as const;
    finish(undefined, failures[code as keyof typeof failures] ?? "silent");
  });
  socket.on("close", () => finish(undefined, "ended"));
  return () => finish(undefined, "silent");
}
