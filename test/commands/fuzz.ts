import { type Command, runCommand } from "./command.ts";

/** `npm run fuzz -- NAME`: random and hostile input. */
export const fuzz: Command = {
  name: "fuzz",
  tasks: {
    frames: {
      summary: "feed changed bytes to the native protocol, as server and as client",
      program: "test/fuzz/frames.ts",
      options: {
        "--count N": "number of inputs (default 1,000,000)",
        "--seed N": "default 1",
        "--from N": "number of the first input; --count 1 repeats that one",
      },
    },
    "http2-frames": {
      summary: "feed random frames and header blocks to the runtime's HTTP/2, as server and client",
      program: "test/fuzz/http2-frames.ts",
      options: {
        "--count N": "number of inputs (default 1,000,000)",
        "--seed N": "default 1",
        "--from N": "number of the first input; --count 1 repeats that one",
      },
    },
    dns: {
      summary: "feed changed responses to the parser of DNS, and compare it with dns-packet",
      program: "test/fuzz/dns.ts",
      options: {
        "--count N": "number of responses (default 1,000,000)",
        "--seed N": "default 1",
        "--from N": "number of the first response; --count 1 repeats that one",
      },
    },
    codec: {
      summary: "compare the generated codecs with protobuf-es; protoc decides where they differ",
      program: "test/codec/run-fuzz.ts",
      options: { "--inputs N": "number of inputs (default 20,000)", "--seed N": "default 1" },
    },
    googleapis: {
      summary: "send random messages of all types of Google's APIs through the generated codecs",
      program: "test/codec/googleapis.ts",
      options: {
        "--part": "some of the APIs",
        "--messages N": "messages of each type (default 5)",
        "--seed N": "default 1",
      },
    },
    attacks: {
      summary: "attack a service with default limits and measure what each attack costs",
      program: "test/attacks/run.ts",
      options: {
        "--short": "leave out attacks that wait for deadlines",
        "--node VERSION": "run the target on another Node, such as 22, or on all",
        "--list": "print the names of the attacks",
        "--write": "update the table in docs/security.md",
        "--folder PATH": "take the attacks from another folder",
      },
      operands: "names of attacks or protocols (default: all)",
    },
    "http2-servers": {
      summary: "compare what attacks on HTTP/2 cost our server, Node's, grpc-go's and nginx",
      program: "test/attacks/http2-servers.ts",
      options: { "--write": "update the table in docs/security.md" },
    },
    http2: {
      summary: "cancel calls over HTTP/2 in every phase, from both sides, on every Node",
      program: "test/soak/http2.ts",
      options: {
        "--calls N": "default 200,000",
        "--seed N": "default 1",
        "--node VERSION": "one Node, such as 22",
      },
      nodeFlags: [],
    },
  },
};

if (process.argv[1] === import.meta.filename) await runCommand(fuzz);
