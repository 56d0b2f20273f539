import { type Command, runCommand } from "./command.ts";

/** `npm run interop [-- NAME]`: tests with other implementations, runtimes and schemas. */
export const interop: Command = {
  name: "interop",
  usual: "grpc",
  tasks: {
    grpc: {
      summary: "run gRPC's interoperability tests with other libraries, a browser and proxies",
      program: "test/interop/run.ts",
      options: { "--plant": "plant mistakes, each of which must be found" },
    },
    "go-micro": {
      summary: "exchange calls and events with a go-micro program (GO_MICRO_PEER is its path)",
      program: "test/interop/go-micro/run.ts",
      operands: '"mucp", "gRPC", "mucp on NATS", "gRPC on etcd" and others (default: all)',
    },
    "go-micro-records": {
      summary: "record what a go-micro program and ours write into a registry, for the tests",
      program: "test/interop/go-micro/record.ts",
      operands: '"etcd", "consul"; with go-micro 5 "zookeeper"',
    },
    conformance: {
      summary: "run Google's protobuf conformance tests on the generated codecs",
      program: "test/conformance/run.ts",
      options: { "--plant": "plant a mistake, which must be found" },
    },
    "connect-conformance": {
      summary: "run Connect's conformance tests of Connect, gRPC and gRPC-Web; needs Go",
      program: "test/conformance/connect/run.ts",
      options: {
        "--mode MODE": "server or client (default: both)",
        "--run PATTERN": "some of the cases",
        "--plant": "plant mistakes, which must be found",
      },
      nodeFlags: [],
    },
    h2spec: {
      summary: "run h2spec's cases of HTTP/2 and HPACK on the runtime's HTTP/2; needs Go",
      program: "test/interop/h2spec/run.ts",
      options: { "--plant": "plant mistakes, each of which must be found" },
    },
    hpack: {
      summary: "exchange header blocks with the HPACK of golang.org/x/net; needs Go",
      program: "test/interop/hpack/run.ts",
      options: {
        "--count N": "header lists in each direction (default 20,000)",
        "--seed N": "the seed of the header lists",
        "--plant": "plant a mistake, which must be found",
      },
    },
    googleapis: {
      summary: "generate and type-check code for all of Google's APIs",
      program: "test/googleapis/googleapis.ts",
      options: { "--part": "some of the APIs", "--keep": "keep the generated code" },
    },
    runtimes: {
      summary: "run the examples and calls of every kind on Bun and Deno",
      program: "test/runtimes/run.ts",
    },
  },
};

if (process.argv[1] === import.meta.filename) await runCommand(interop);
