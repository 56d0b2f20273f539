import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  goMicroTransport,
  httpTransport,
  MemoryNetwork,
  memoryTransport,
  type Transport,
  tcpTransport,
} from "@micro-es/runtime";
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

/** What HTTP cannot do as the contract has it. */
const notOfHttp = [
  // gRPC does not say of which kind a call is, and a content type is one of the protocol and not of the method.
  "refuses a kind of call and a content type that a method does not have",
];

for (const protocol of ["grpc", "grpc-web", "connect"] as const) {
  transports[protocol] = {
    create: (limits) => httpTransport({ protocol, ...limits }),
    freeAddress: () => "127.0.0.1:0",
    nowhere: "127.0.0.1:1",
    foreign: "memory:somewhere",
    // As the libraries of gRPC have it.
    unreadable: "internal",
    // The windows of HTTP/2 count bytes on the wire; and Node holds some before and behind them.
    ahead: { smallMessage: 10, beside: 2 * 65_536 },
  };
}

/**
 * What go-micro's protocol does otherwise: a connection says nothing of itself and takes one call, and a request does not
 * say of which kind the call is.
 */
const notOfGoMicro = [
  "refuses a kind of call and a content type that a method does not have",
  "refuses connections beyond its limit",
];

/** What a transport need not do that promises less. */
function notPromised({ guarantees }: Transport): readonly string[] {
  const { flowControl, drain, fullMetadata } = guarantees;
  return [
    fullMetadata ? [] : "carries metadata there, metadata and trailers back, text and bytes",
    drain ? [] : "drains: finishes what it has, refuses what comes, and tells the callers",
    flowControl === "stream"
      ? []
      : [
          "stops a handler that writes faster than its caller reads, and lets it go on",
          "stops a conversation whose caller does not read, on both sides",
          "stops a caller that writes faster than its handler reads, empty messages too",
        ],
  ].flat();
}

transports["go-micro"] = {
  // Each call dials, a thousand at once as well, and a busy machine takes its time for those.
  create: (limits) => goMicroTransport({ handshakeTimeoutMs: 60_000, ...limits }),
  freeAddress: () => "127.0.0.1:0",
  nowhere: "127.0.0.1:1",
};

const otherwise: Record<string, readonly string[]> = { http: notOfHttp, "go-micro": notOfGoMicro };

for (const [name, under] of Object.entries(transports)) {
  describe(`the ${name} transport`, () => {
    const transport = under.create();
    const skipped = [...(otherwise[transport.name] ?? []), ...notPromised(transport)];
    for (const each of transportContract(under)) {
      // A thousand calls at once take their time where many others want the processor.
      test.skipIf(skipped.includes(each.name))(each.name, { timeout: 90_000 }, each.run);
    }
  });
}
