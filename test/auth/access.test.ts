import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { goMicroTransport, MemoryNetwork, memoryTransport, tcpTransport } from "@micro-es/runtime";
import { describeAccess } from "./access-suite.ts";

const tcp = { serve: tcpTransport(), address: "127.0.0.1:0" };

describeAccess("tcp", () => ({ ...tcp, call: tcpTransport() }));
describeAccess("a unix socket", () => {
  const transport = tcpTransport();
  const address = `unix:${join(mkdtempSync(join(tmpdir(), "micro-auth-")), "guarded.sock")}`;
  return { serve: transport, call: transport, address };
});
describeAccess("memory", () => {
  const transport = memoryTransport({ network: new MemoryNetwork() });
  return { serve: transport, call: transport, address: "memory:0" };
});
describeAccess("go-micro", () => ({ ...tcp, call: goMicroTransport() }));
describeAccess("go-micro in JSON", () => ({
  ...tcp,
  call: goMicroTransport({ encoding: "json" }),
  isJson: true,
}));
