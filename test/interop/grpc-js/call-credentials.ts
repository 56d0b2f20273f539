import { readFileSync } from "node:fs";
import {
  type CallCredentials,
  type Client,
  type ClientReadableStream,
  credentials,
  Metadata,
  makeGenericClientConstructor,
  type ServiceError,
  status,
} from "@grpc/grpc-js";
import type { CredentialCall } from "../call-credentials.ts";

/**
 * Makes calls with call credentials of @grpc/grpc-js: `call-credentials.ts ADDRESS CA CALLS`. Each
 * call has one empty request. Writes the code of each as a line of JSON.
 */

const [address = "", ca = "", file = ""] = process.argv.slice(2);
const calls = JSON.parse(readFileSync(file, "utf8")) as readonly CredentialCall[];
const tls = credentials.createSsl(readFileSync(ca));
const Guarded = makeGenericClientConstructor({}, "guarded");

function bearer(token: string): CallCredentials {
  return credentials.createFromMetadataGenerator((_, done) => {
    const metadata = new Metadata();
    metadata.set("authorization", `Bearer ${token}`);
    done(null, metadata);
  });
}

/** The code of a call, once it has ended. */
function codeOf(client: Client, { path, kind }: CredentialCall): Promise<string> {
  const bytes = (value: Buffer) => value;
  const streams = kind !== "unary" && kind !== "server_streaming";
  const returnsStream = kind === "server_streaming" || kind === "bidi_streaming";
  return new Promise((resolve) => {
    const ended = (error: ServiceError | null) => resolve(status[error?.code ?? status.OK] ?? "");
    const empty = Buffer.alloc(0);
    if (!streams && !returnsStream) {
      client.makeUnaryRequest(path, bytes, bytes, empty, ended);
      return;
    }
    if (streams && !returnsStream) {
      const call = client.makeClientStreamRequest(path, bytes, bytes, ended);
      call.write(empty);
      call.end();
      return;
    }
    // Its code comes as its status, an error as well.
    const watch = (call: ClientReadableStream<Buffer>): void => {
      call.on("error", () => undefined);
      call.on("data", () => undefined);
      call.on("status", ({ code }) => resolve(status[code] ?? ""));
    };
    if (!streams) {
      watch(client.makeServerStreamRequest(path, bytes, bytes, empty));
      return;
    }
    const call = client.makeBidiStreamRequest(path, bytes, bytes);
    watch(call);
    call.write(empty);
    call.end();
  });
}

for (const call of calls) {
  const { name, token } = call;
  const channel =
    token === undefined ? tls : credentials.combineChannelCredentials(tls, bearer(token));
  const client = new Guarded(address, channel);
  console.log(JSON.stringify({ name, code: await codeOf(client, call) }));
  client.close();
}
