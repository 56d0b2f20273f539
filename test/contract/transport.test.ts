import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { httpTransport, MemoryNetwork, memoryTransport, tcpTransport } from "@micro-es/runtime";
import { afterAll, describe, test } from "vitest";
import { type TransportUnderTest, transportContract } from "./transport.ts";

const folder = mkdtempSync(join(tmpdir(), "micro-es-transport-"));
afterAll(() => rmSync(folder, { recursive: true }));

const network = new MemoryNetwork();
let sockets = 0;

const transports: Record<string, TransportUnderTest> = {
  memory: {
    create: (limits = {}) => memoryTransport({ network, limits }),
    freeAddress: () => "memory:0",
    nowhere: "memory:nowhere",
  },
  tcp: {
    create: (limits) => tcpTransport(limits),
    freeAddress: () => "127.0.0.1:0",
    nowhere: "127.0.0.1:1",
  },
  "unix socket": {
    create: (limits) => tcpTransport(limits),
    freeAddress: () => `unix:${join(folder, `${sockets++}.sock`)}`,
    nowhere: `unix:${join(folder, "nowhere.sock")}`,
  },
};

/**
 * What HTTP does otherwise: a URL is an address, a connection too many is closed without a word, gRPC does not say
 * of which kind a call is, Connect refuses bytes that are no message without saying that nothing has run, and the
 * windows of HTTP/2 count bytes on the wire and nothing for the message itself.
 */
const notOfHttp = [
  "knows its own addresses",
  "refuses connections beyond its limit",
  "refuses bytes that are no request",
  "refuses a method, a kind and a content type that it does not have",
  "stops a handler that writes faster than its caller reads, and lets it go on",
  "stops a caller that writes faster than its handler reads, empty messages too",
];

for (const protocol of ["grpc", "grpc-web", "connect"] as const) {
  transports[protocol] = {
    create: (limits) => httpTransport({ protocol, ...limits }),
    freeAddress: () => "127.0.0.1:0",
    nowhere: "127.0.0.1:1",
  };
}

for (const [name, under] of Object.entries(transports)) {
  describe(`the ${name} transport`, () => {
    for (const each of transportContract(under)) {
      const skipped = under.create().name === "http" && notOfHttp.includes(each.name);
      test.skipIf(skipped)(each.name, each.run);
    }
  });
}
