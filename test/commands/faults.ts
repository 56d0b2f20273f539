import { type Command, runCommand } from "./command.ts";

const options = { "--long": "the long forms" };
const operands = "ids of scenarios, such as R1 (default: all)";

/** `npm run faults -- NAME`: kills, restarts, pauses and cuts off programs under load. */
export const faults: Command = {
  name: "faults",
  tasks: {
    auth: {
      summary: "revoke and lose accounts, keys and rules while services are called",
      program: "test/faults/run.ts",
      args: ["auth"],
      options,
      operands,
    },
    consul: {
      summary: "break a real Consul while services are registered in it",
      program: "test/faults/run.ts",
      args: ["consul"],
      options,
      operands,
    },
    dns: {
      summary: "stop and forge real and scripted DNS servers while services are looked up",
      program: "test/faults/run.ts",
      args: ["dns"],
      options,
      operands,
    },
    etcd: {
      summary: "break a real etcd while services are registered in it",
      program: "test/faults/run.ts",
      args: ["etcd"],
      options,
      operands,
    },
    gossip: {
      summary: "cut off and kill members of a gossip cluster in network namespaces; needs root",
      program: "test/faults/run.ts",
      args: ["gossip"],
      options,
      operands,
    },
    http: {
      summary: "restart, kill and cut off servers under load from four kinds of clients",
      program: "test/faults/run.ts",
      args: ["http"],
      options,
      operands,
    },
    kafka: {
      summary: "break a real Kafka while it is used, and judge from ledgers",
      program: "test/faults/run.ts",
      args: ["kafka"],
      options,
      operands,
    },
    postgres: {
      summary: "break a real PostgreSQL while it is used, and judge from ledgers",
      program: "test/faults/run.ts",
      args: ["postgres"],
      options,
      operands,
    },
    rabbitmq: {
      summary: "break a real RabbitMQ while it is used, and judge from ledgers",
      program: "test/faults/run.ts",
      args: ["rabbitmq"],
      options,
      operands,
    },
    nsq: {
      summary: "break an nsqd while it is used, and judge from ledgers",
      program: "test/faults/run.ts",
      args: ["nsq"],
      options,
      operands,
    },
    pubsub: {
      summary: "break a broker on Google's fake of Pub/Sub, and judge from ledgers",
      program: "test/faults/run.ts",
      args: ["pubsub"],
      options,
      operands,
    },
    redis: {
      summary: "break a real Redis while it is used, and judge from ledgers",
      program: "test/faults/run.ts",
      args: ["redis"],
      options,
      operands,
    },
    zookeeper: {
      summary: "break a real ZooKeeper while it is used, and judge from ledgers",
      program: "test/faults/run.ts",
      args: ["zookeeper"],
      options,
      operands,
    },
    nats: {
      summary: "break a real NATS server while it is used, and judge from ledgers",
      program: "test/faults/run.ts",
      args: ["nats"],
      options,
      operands,
    },
  },
};

if (process.argv[1] === import.meta.filename) await runCommand(faults);
