import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MemoryNetwork, memoryTransport, tcpTransport } from "@micro-es/runtime";
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

for (const [name, under] of Object.entries(transports)) {
  describe(`the ${name} transport`, () => {
    for (const { name, run } of transportContract(under)) test(name, run);
  });
}
