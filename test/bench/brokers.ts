/**
 * Publishing with 128 under way to Redis, RabbitMQ and Kafka, and consuming in a group from them,
 * in one process, alternating with the client library alone:
 * `npm run bench -- brokers [--check] [--events N] [--rounds N] [NAME ...]`. With `--check` the
 * status is 1 when a goal is missed. A round of consuming counts from its first event, because
 * members of a group take seconds to share its partitions.
 */
import { parseArgs } from "node:util";
import { kafkaBroker } from "@micro-es/kafka";
import { rabbitmqBroker } from "@micro-es/rabbitmq";
import { redisBroker } from "@micro-es/redis";
import { type Broker, silentLogger } from "@micro-es/runtime";
import { Admin, Consumer, MessagesStreamModes, Producer } from "@platformatic/kafka";
import { connect } from "amqplib";
import { Redis } from "ioredis";
import { startKafka } from "../../drivers/kafka/test/server.ts";
import { startRabbitMq } from "../../drivers/rabbitmq/test/server.ts";
import { startRedis } from "../../drivers/redis/test/server.ts";
import { compare, inWindows, measure, type Round, underWay } from "./side-by-side.ts";

const { values, positionals } = parseArgs({
  options: {
    check: { type: "boolean", default: false },
    events: { type: "string", default: "6000" },
    rounds: { type: "string", default: "5" },
  },
  allowPositionals: true,
});
const events = Number(values.events);
const rounds = Number(values.rounds);
const body = Buffer.alloc(128, 7);
const event = { body, contentType: "application/octet-stream", typeName: "" };

/** A client library without Micro-ES, on the same server. */
interface Library extends AsyncDisposable {
  readonly name: string;
  /** Prepares a topic with a group, whose events are kept until it consumes them. */
  create(topic: string): Promise<void>;
  publish(topic: string): Promise<unknown>;
  /** Consumes in the group, and acknowledges each event, until `each` returns true. */
  consume(topic: string, each: () => boolean): Promise<void>;
}

/** A server, the library and the broker that is compared with it. */
interface Subject extends AsyncDisposable {
  readonly library: Library;
  readonly broker: Broker;
}

const subjects: Readonly<Record<string, () => Promise<Subject>>> = {
  async redis() {
    const server = await startRedis();
    const broker = redisBroker({ servers: server.address, logger: silentLogger });
    return subject(server, ioredis(server.address), broker);
  },
  async rabbitmq() {
    const server = await startRabbitMq();
    const broker = rabbitmqBroker({ servers: server.address, logger: silentLogger });
    return subject(server, await amqplib(server.address), broker);
  },
  async kafka() {
    const server = await startKafka();
    const broker = kafkaBroker({ servers: server.address, partitions: 1, logger: silentLogger });
    return subject(server, platformatic(server.address), broker);
  },
};

function subject(server: AsyncDisposable, library: Library, broker: Broker): Subject {
  return {
    library,
    broker,
    async [Symbol.asyncDispose]() {
      await broker.close();
      await library[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

function ioredis(address: string): Library {
  const [host = "", port = ""] = address.split(":");
  const client = new Redis({ host, port: Number(port) });
  const reader = new Redis({ host, port: Number(port) });
  return {
    name: "ioredis",
    async create(topic) {
      await client.xgroup("CREATE", topic, "g", "0", "MKSTREAM");
    },
    publish: (topic) => client.xadd(topic, "*", "b", body),
    async consume(topic, each) {
      const block = ["COUNT", underWay, "BLOCK", 5_000, "STREAMS", topic, ">"] as const;
      for (;;) {
        const found = await reader.call("XREADGROUP", "GROUP", "g", "m", ...block);
        // A map by stream, whose entries are pairs of id and fields.
        const [, entries = []] = (found ?? []) as [string?, [string, unknown][]?];
        const acked = entries.map(([id]) => client.xack(topic, "g", id));
        const isOver = entries.map(() => each()).some(Boolean);
        if (isOver) return void (await Promise.all(acked));
      }
    },
    async [Symbol.asyncDispose]() {
      client.disconnect();
      reader.disconnect();
    },
  };
}

async function amqplib(address: string): Promise<Library> {
  const connection = await connect(`amqp://${address}`);
  const publisher = await connection.createConfirmChannel();
  return {
    name: "amqplib",
    async create(topic) {
      await publisher.assertQueue(topic, {
        durable: true,
        arguments: { "x-queue-type": "quorum" },
      });
    },
    publish: (topic) =>
      new Promise((resolve, reject) => {
        publisher.sendToQueue(topic, body, { persistent: true }, (error) =>
          error === null || error === undefined ? resolve(undefined) : reject(error),
        );
      }),
    async consume(topic, each) {
      const channel = await connection.createChannel();
      await channel.prefetch(underWay);
      await new Promise<void>((resolve) => {
        void channel.consume(topic, (message) => {
          if (message === null) return;
          channel.ack(message);
          if (each()) resolve();
        });
      });
      await channel.close();
    },
    [Symbol.asyncDispose]: () => connection.close(),
  };
}

function platformatic(address: string): Library {
  const common = { clientId: "bench", bootstrapBrokers: [address] };
  const producer = new Producer(common);
  const admin = new Admin(common);
  return {
    name: "@platformatic/kafka",
    async create(topic) {
      await admin.createTopics({ topics: [topic], partitions: 1, replicas: 1 });
    },
    publish: (topic) => producer.send({ messages: [{ topic, value: body }], acks: -1 }),
    async consume(topic, each) {
      const consumer = new Consumer({ ...common, groupId: `${topic}-g` });
      const options = { topics: [topic], autocommit: true, mode: MessagesStreamModes.EARLIEST };
      const stream = await consumer.consume(options);
      for await (const _message of stream) if (each()) break;
      await consumer.close(true);
    },
    async [Symbol.asyncDispose]() {
      await producer.close();
      await admin.close();
    },
  };
}

/** Measures from the first event to the last. */
async function counting(
  count: number,
  consume: (each: () => boolean) => Promise<void>,
): Promise<Round> {
  let seen = 0;
  let began = 0;
  let before = process.cpuUsage();
  let round: Round | undefined;
  await consume(() => {
    seen++;
    if (seen === 1) [began, before] = [performance.now(), process.cpuUsage()];
    if (seen === count) {
      const { user, system } = process.cpuUsage(before);
      const perSecond = (count / (performance.now() - began)) * 1_000;
      round = { perSecond, cpuUs: (user + system) / count };
    }
    return seen >= count;
  });
  if (round === undefined) throw new Error(`${seen} of ${count} events were consumed`);
  return round;
}

async function benchmark({ library, broker }: Subject): Promise<boolean> {
  let topics = 0;
  const group = { queue: "g", maxInFlight: underWay };
  const consumeOurs = async (topic: string, each: () => boolean) => {
    let end = () => {};
    const all = new Promise<void>((resolve) => {
      end = resolve;
    });
    const handler = () => {
      if (each()) end();
    };
    const subscription = await broker.subscribe(topic, handler, group);
    await all;
    await subscription.close();
  };
  const createOurs = async (topic: string) => {
    const subscription = await broker.subscribe(topic, () => {}, group);
    await subscription.close();
  };
  const publishOurs = (topic: string) => broker.publish(topic, event);

  const [alone, ours] = ["alone.published", "ours.published"];
  await library.create(alone);
  await createOurs(ours);
  const publishing = await compare(
    `publishing with ${underWay} under way`,
    library.name,
    {
      alone: (count) => measure((number) => inWindows(number, () => library.publish(alone)), count),
      ours: (count) => measure((number) => inWindows(number, () => publishOurs(ours)), count),
    },
    events,
    rounds,
  );
  const consuming = await compare(
    "consuming in a group",
    library.name,
    {
      async alone(count) {
        const topic = `alone.${topics++}`;
        await library.create(topic);
        await inWindows(count, () => library.publish(topic));
        return counting(count, (each) => library.consume(topic, each));
      },
      async ours(count) {
        const topic = `ours.${topics++}`;
        await createOurs(topic);
        await inWindows(count, () => publishOurs(topic));
        return counting(count, (each) => consumeOurs(topic, each));
      },
    },
    events,
    rounds,
  );
  return publishing && consuming;
}

const chosen = positionals.length > 0 ? positionals : Object.keys(subjects);
let reached = true;
for (const name of chosen) {
  const start = Object.hasOwn(subjects, name) ? subjects[name] : undefined;
  if (start === undefined) {
    console.error(`there is no ${name}; there are: ${Object.keys(subjects).join(", ")}`);
    process.exit(2);
  }
  console.log(name);
  await using opened = await start();
  reached = (await benchmark(opened)) && reached;
}
process.exit(values.check && !reached ? 1 : 0);
