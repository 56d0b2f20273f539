import { tcpTransport } from "@micro-es/runtime";
import { buildServer } from "../../runtime/src/server/rpc-server.ts";
import { registerEcho } from "../support/server.ts";

/**
 * A server under attack, in a process of its own, so that its memory can be measured. On request it
 * reports that and the number of its connections and calls.
 */

const transport = tcpTransport({
  handshakeTimeoutMs: 2_000,
  keepaliveIntervalMs: 3_000,
  keepaliveTimeoutMs: 10_000,
  http: { idleTimeoutMs: 5_000 },
});
const server = buildServer({
  name: "echo",
  listen: [{ transport, address: "127.0.0.1:0" }],
  logger: { debug() {}, info() {}, warn() {}, error() {} },
});
registerEcho(server);
await server.start();

process.on("message", () => {
  globalThis.gc?.();
  const { rss, heapUsed, external } = process.memoryUsage();
  process.send?.({ state: { rss, held: heapUsed + external, inFlight: server.stats.inFlight } });
});
process.on("disconnect", () => process.exit());
process.send?.({ port: Number(server.addresses[0]?.split(":")[1]) });
