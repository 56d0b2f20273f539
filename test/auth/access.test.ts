import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  goMicroTransport,
  httpTransport,
  MemoryNetwork,
  memoryTransport,
  tcpTransport,
} from "@micro-es/runtime";
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

describeAccess("gRPC", () => ({ ...tcp, call: httpTransport() }));
describeAccess("gRPC in JSON", () => ({
  ...tcp,
  call: httpTransport({ encoding: "json" }),
  isJson: true,
}));
describeAccess("gRPC-Web", () => ({ ...tcp, call: httpTransport({ protocol: "grpc-web" }) }));
describeAccess("Connect", () => ({ ...tcp, call: httpTransport({ protocol: "connect" }) }));
describeAccess("Connect by GET", () => ({
  ...tcp,
  call: httpTransport({ protocol: "connect", get: true }),
  isGet: true,
}));
describeAccess("Connect in JSON over HTTP/1.1", () => ({
  ...tcp,
  call: httpTransport({ protocol: "connect", httpVersion: "1.1", encoding: "json" }),
  isJson: true,
  streams: false,
}));
describeAccess("gRPC-Web over HTTP/1.1", () => ({
  ...tcp,
  call: httpTransport({ protocol: "grpc-web", httpVersion: "1.1" }),
  streams: false,
}));
