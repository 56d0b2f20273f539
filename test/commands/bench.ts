import { type Command, runCommand } from "./command.ts";

const verdicts = {
  "--check": "exit with 1 when a goal is missed",
  "--json": "print an object for each figure",
};

/** `npm run bench [-- NAME]`: speed, memory and size. */
export const bench: Command = {
  name: "bench",
  usual: "calls",
  tasks: {
    calls: {
      summary: "compare calls and events with those of other frameworks",
      program: "test/bench/run.ts",
      options: {
        ...verdicts,
        "--only NAME": "one framework; may be repeated, as the next three",
        "--suite NAME": "one suite, or grpc for all figures of gRPC, and of Connect over HTTP/2",
        "--in-flight N": "one number of calls in flight",
        "--bytes N": "one size of messages",
        "--ablation": "measure what each feature of a call costs",
        "--scale": "measure many connections and many streams",
        "--start-up": "measure the time until a program listens, and what is installed",
        "--slices N": "slices of each measurement",
        "--slice-ms N": "length of a slice",
        "--no-spin": "let the processor sleep between slices",
        "--profile PATH": "write a CPU profile of each process to this folder",
      },
      nodeFlags: [],
    },
    "grpc-servers": {
      summary: "compare what a gRPC call costs our server, grpc-go's and grpc-js'; needs Go",
      program: "test/bench/grpc-servers.ts",
      options: {
        ...verdicts,
        "--rounds N": "rounds of each measurement (default 5)",
        "--in-flight N": "one number of calls in flight; may be repeated",
      },
    },
    codec: {
      summary: "compare the generated codecs with others",
      program: "test/bench/codec/run.ts",
      options: {
        ...verdicts,
        "--guard": "exit with 1 when a goal is missed by far",
        "--processes N": "processes of each codec (default 5)",
        "--rounds N": "rounds in each process (default 5)",
        "--malformed": "measure again after malformed input",
      },
      operands: "names of fixtures (default: all)",
      nodeFlags: ["--expose-gc", "--conditions=@micro-es/source"],
    },
    codegen: {
      summary: "measure the code generator, and the type checker on its output",
      program: "test/bench/codec/codegen.ts",
      options: {
        ...verdicts,
        "--guard": "exit with 1 when a goal is missed by far",
        "--all": "all of Google's APIs as input",
        "--target TARGET": "js+dts or ts (default: both)",
        "--repeat N": "number of runs (default 5)",
        "--keep": "keep the generated code",
      },
    },
    jetstream: {
      summary: "compare events through JetStream with nats.js alone",
      program: "test/bench/jetstream.ts",
      options: {
        "--check": "exit with 1 when a goal is missed",
        "--events N": "events of a round (default 6,000)",
        "--rounds N": "rounds of each side (default 7)",
      },
      nodeFlags: ["--conditions=@micro-es/source"],
    },
    brokers: {
      summary: "compare events through Redis, RabbitMQ and Kafka with their libraries alone",
      program: "test/bench/brokers.ts",
      options: {
        "--check": "exit with 1 when a goal is missed",
        "--events N": "events of a round (default 6,000)",
        "--rounds N": "rounds of each side (default 5)",
      },
      operands: "redis, rabbitmq, kafka (default: all)",
      nodeFlags: ["--conditions=@micro-es/source"],
    },
    cli: {
      summary: "measure how long `micro --help` and others take",
      program: "test/bench/cli.ts",
      options: {
        "--check": "exit with 1 when a goal is missed",
        "--runs N": "number of runs (default 31)",
      },
      nodeFlags: [],
      builds: [
        "protoc-gen-micro",
        "runtime",
        "drivers/nats",
        "drivers/etcd",
        "drivers/consul",
        "drivers/dns",
        "drivers/zookeeper",
        "drivers/rabbitmq",
        "drivers/nsq",
        "drivers/redis",
        "drivers/postgres",
        "drivers/kafka",
        "drivers/pubsub",
        "cli",
      ],
    },
  },
};

if (process.argv[1] === import.meta.filename) await runCommand(bench);
