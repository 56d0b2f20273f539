/**
 * Records what go-micro's broker on RabbitMQ says to the server, and what it and ours receive of
 * each other: `GO_MICRO_PEER=program npx tsx drivers/rabbitmq/test/go-micro/record.ts`. The program
 * is built from go-micro's own source (go-micro.dev/v5, broker/rabbitmq). With the arguments
 * `amqp://… publish` it publishes one event on `greeter.greeted`; with `amqp://… subscribe` it
 * subscribes there with the queue `stats` and prints each event as JSON with topic, body, header.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { rabbitmqBroker } from "@micro-es/rabbitmq";
import { type IncomingEvent, silentLogger } from "@micro-es/runtime";
import { freePort } from "@micro-es/test-support/free-ports";
import { startRabbitMq } from "../server.ts";
import { FrameReader, type Turn } from "./frames.ts";
import { publishOurs, topic } from "./our-event.ts";

const { GO_MICRO_PEER: peer } = process.env;
if (peer === undefined) throw new Error("set GO_MICRO_PEER");

await using server = await startRabbitMq();
await using broker = rabbitmqBroker({
  servers: server.address,
  format: "go-micro",
  logger: silentLogger,
});

const publisher = await record(server.port, async (url, turns) => {
  let take: (event: IncomingEvent) => void = () => {};
  const received = new Promise<IncomingEvent>((resolve) => {
    take = resolve;
  });
  const subscription = await broker.subscribe(topic, take, { queue: "stats" });
  const program = spawn(peer, [url, "publish"], { stdio: "inherit" });
  const { id, body, contentType, metadata } = await received;
  const said = turns();
  await once(program, "exit");
  await subscription.close();
  const text = Buffer.from(body).toString();
  return { said, received: { id, body: text, contentType, metadata: [...metadata] } };
});

const subscriber = await record(server.port, async (url, turns) => {
  const program = spawn(peer, [url, "subscribe"], { stdio: ["ignore", "pipe", "inherit"] });
  while (!(await server.control("list_consumers", "queue_name")).includes("stats"));
  const said = turns();
  await publishOurs(broker);
  const [printed] = await once(program.stdout, "data");
  program.kill();
  await once(program, "exit");
  return { said, received: JSON.parse(String(printed)) };
});

const file = new URL("recorded.json", import.meta.url);
writeFileSync(file, `${JSON.stringify({ publisher, subscriber }, null, 2)}\n`);

/** Runs a conversation through a proxy that notes it. */
async function record<T>(
  port: number,
  converse: (url: string, turns: () => readonly Turn[]) => Promise<T>,
): Promise<T> {
  const sent: Buffer[] = [];
  const until: number[] = [];
  const reader = new FrameReader();
  const proxy = createServer((from) => {
    const to = connect({ host: "127.0.0.1", port });
    let isServersTurn = true;
    from.on("data", (bytes: Buffer) => {
      if (isServersTurn) {
        until.push(reader.payloads.length);
        sent.push(bytes);
      } else sent.push(Buffer.concat([sent.pop() ?? Buffer.alloc(0), bytes]));
      isServersTurn = false;
      to.write(bytes);
    });
    to.on("data", (bytes: Buffer) => {
      isServersTurn = true;
      reader.read(bytes);
      from.write(bytes);
    });
    for (const [here, there] of [
      [from, to],
      [to, from],
    ] as const) {
      here.on("error", () => there.destroy());
      here.on("close", () => there.destroy());
    }
  });
  const proxyPort = await freePort();
  proxy.listen(proxyPort, "127.0.0.1");
  const turns = () => {
    const ends = [...until.slice(1), reader.payloads.length];
    return sent.map((bytes, index) => ({
      sent: bytes.toString("base64"),
      frames: (ends[index] ?? 0) - (until[index] ?? 0),
    }));
  };
  try {
    return await converse(`amqp://guest:guest@127.0.0.1:${proxyPort}`, turns);
  } finally {
    proxy.close();
  }
}
