import {
  type ClientHttp2Session,
  connect as connectHttp2,
  constants,
  createServer,
  type Http2Stream,
} from "node:http2";
import type { AddressInfo } from "node:net";
import { createClient, httpTransport, MicroError, memoryRegistry } from "@micro-es/runtime";
import { buildServer } from "../../runtime/src/server/rpc-server.ts";
import {
  createEchoServiceClient,
  type EchoServiceClient,
} from "../gen/micro/test/v1/echo_micro.ts";
import { seededRandom } from "../support/seeded-random.ts";
import { registerEcho } from "../support/server.ts";

/**
 * Cancels calls in every phase: before they are sent, between messages, at the first byte of a
 * response, after its end; by a signal, by leaving the loop, by a deadline, by a handler that
 * fails, by a reset from either side, and by the end of a whole connection. Our client and our
 * server against each other, and each against Node's bare HTTP/2.
 */

const calls = Number(process.argv[2]);
const random = seededRandom(Number(process.argv[3]));
const below = (limit: number) => Math.floor(random() * limit);
const ends = new Map<string, number>();
const count = (end: string) => ends.set(end, (ends.get(end) ?? 0) + 1);

/** Some turns of the loop, which is where phases begin and end; none at all as well. */
async function turns(most: number): Promise<void> {
  for (let left = below(most); left > 0; left--) await new Promise(setImmediate);
}

const payload = new Uint8Array(40_000);
const fails = () => (below(8) === 0 ? "aborted" : "");
const requestOf = () => ({
  text: "soak",
  payload: payload.subarray(0, below(4) === 0 ? payload.length : 10),
  count: below(6),
  fail: fails(),
});

const server = buildServer({
  name: "echo",
  listen: [{ transport: httpTransport({ maxConnections: 1_000 }), address: "127.0.0.1:0" }],
  logger: { debug() {}, info() {}, warn() {}, error() {} },
});
registerEcho(server);
await server.start();
const ours = `http://${server.addresses[0]}`;

/** A server that gives up what it is asked, at any time and with any code. */
const rude = createServer();
const codes = [
  constants.NGHTTP2_NO_ERROR,
  constants.NGHTTP2_CANCEL,
  constants.NGHTTP2_REFUSED_STREAM,
  constants.NGHTTP2_INTERNAL_ERROR,
];
rude.on("sessionError", () => undefined);
rude.on("session", (session) => session.on("error", () => undefined));
rude.on("stream", async (stream) => {
  stream.on("error", () => undefined);
  stream.resume();
  // Node 22 aborts if a stream is destroyed while the chunk with its data is being read.
  await new Promise(setImmediate);
  await turns(4);
  if (below(3) > 0 && !stream.destroyed && !stream.closed) {
    stream.respond({ ":status": 200, "content-type": "application/grpc" });
    await turns(4);
    if (below(2) === 0 && !stream.destroyed) stream.write(Buffer.of(0, 0, 0, 0, 2, 10, 0));
    await turns(4);
  }
  if (below(500) === 0) stream.session?.destroy();
  giveUp(stream);
});
await new Promise<void>((resolve) => rude.listen(0, "127.0.0.1", resolve));
const bare = `http://127.0.0.1:${(rude.address() as AddressInfo).port}`;

function giveUp(stream: Http2Stream): void {
  if (below(3) === 0) stream.destroy(below(2) === 0 ? new Error("enough") : undefined);
  else if (!stream.closed) stream.close(codes[below(codes.length)]);
}

const clients = (["grpc", "grpc-web", "connect"] as const).map((protocol) =>
  createClient({
    registry: memoryRegistry(),
    transports: [httpTransport({ protocol })],
    retry: false,
  }),
);

/** One call of our client, to either server. */
async function ourCall(): Promise<void> {
  const client = createEchoServiceClient(clients[below(clients.length)]!);
  const controller = new AbortController();
  const options = {
    address: below(3) === 0 ? bare : ours,
    signal: controller.signal,
    timeoutMs: below(4) === 0 ? 1 + below(20) : 5_000,
  };
  if (below(3) > 0) void turns(12).then(() => controller.abort());
  try {
    await oneOf(client, options, controller);
    count("answered");
  } catch (reason) {
    if (!(reason instanceof MicroError)) throw reason;
    count(reason.code);
  }
}

async function oneOf(
  client: EchoServiceClient,
  options: { address: string; signal: AbortSignal; timeoutMs: number },
  controller: AbortController,
): Promise<void> {
  const kind = below(4);
  if (kind === 0) await client.once(requestOf(), options);
  else if (kind === 1) await client.collect(requests(controller), options);
  else {
    const leaveAfter = below(6);
    let seen = 0;
    const answers =
      kind === 2 ? client.repeat(requestOf(), options) : client.chat(requests(controller), options);
    for await (const _ of answers) {
      if (++seen === leaveAfter) break;
      await turns(3);
    }
  }
}

async function* requests(controller: AbortController) {
  for (let left = below(5); left > 0; left--) {
    yield requestOf();
    await turns(3);
  }
  if (below(4) === 0) controller.abort();
}

let session: ClientHttp2Session | undefined;

/** One call of Node's bare client to our server. */
async function bareCall(): Promise<void> {
  if (session === undefined || session.closed || session.destroyed) {
    session = connectHttp2(ours);
    session.on("error", () => undefined);
  }
  const stream = session.request({
    ":method": "POST",
    ":path": `/micro.test.v1.EchoService/${["Echo", "Repeat", "Chat"][below(3)]}`,
    "content-type": below(2) === 0 ? "application/grpc" : "application/connect+proto",
    te: "trailers",
  });
  const closed = new Promise<void>((resolve) => stream.once("close", () => resolve()));
  stream.on("error", () => undefined);
  for (const event of ["response", "data", "end", "trailers"]) {
    if (below(4) === 0) stream.once(event, () => giveUp(stream));
  }
  stream.resume();
  await turns(4);
  if (!stream.destroyed) stream.write(Buffer.of(0, 0, 0, 0, 2, 0x18, 5));
  await turns(4);
  if (below(3) === 0 && !stream.destroyed) stream.end();
  await turns(6);
  giveUp(stream);
  if (below(1_000) === 0) session.destroy();
  await closed;
  count("bare");
}

let begun = 0;
async function work(): Promise<void> {
  while (begun < calls) {
    begun++;
    if (begun % 50_000 === 0)
      console.log(`${begun} calls, ${Math.round(process.memoryUsage.rss() / 1e6)} MB`);
    await (below(3) === 0 ? bareCall() : ourCall());
  }
}
await Promise.all(Array.from({ length: 48 }, work));

session?.destroy();
await Promise.all(clients.map((client) => client.close()));
await server.close();
rude.close();
const inFlight = server.stats.inFlight;
const list = [...ends].map(([end, times]) => `${end} ${times}`).join(", ");
console.log(`Node ${process.version}: ${begun} calls: ${list}; ${inFlight} in flight`);
process.exit(inFlight === 0 ? 0 : 1);
