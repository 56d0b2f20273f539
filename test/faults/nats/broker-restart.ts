import { setTimeout as sleep } from "node:timers/promises";
import { jetstreamBroker, natsBroker } from "@micro-es/nats";
import { type Broker, silentLogger } from "@micro-es/runtime";
import { connect } from "nats";
import { type NatsServer, startNats } from "../../../drivers/nats/test/server.ts";
import type { Figure, Length } from "../figure.ts";
import { until } from "../until.ts";

const event = { contentType: "text/plain", typeName: "" };
const markers = 20;

/** The server restarts; subscriptions must come back soon, each exactly once. */
export async function subscriptionsComeBack(length: Length): Promise<Figure> {
  const restarts = length === "long" ? 20 : 4;
  await using server = await startNats();
  const options = { servers: server.url, logger: silentLogger, timeoutMs: 10_000 };
  await using core = natsBroker(options);
  await using other = natsBroker(options);
  await using jetstream = jetstreamBroker(options);
  await using publisher = jetstreamBroker(options);
  const lines = [
    await line("alone on core NATS", "core", [core], undefined),
    await line("a group of two on core NATS", "core.group", [core, other], "q"),
    await line("alone on JetStream", "stream", [jetstream], undefined),
    await line("a group of two on JetStream", "stream.group", [jetstream, publisher], "q"),
  ];
  let [slowest, wrong] = [0, 0];
  for (let restart = 0; restart < restarts; restart++) {
    await server.stop("SIGKILL");
    await sleep(100 + 900 * Math.random());
    await server.start();
    const open = performance.now();
    await Promise.all(lines.map((each) => each.untilLive(server, publisher)));
    slowest = Math.max(slowest, performance.now() - open);
    for (const each of lines) wrong += await each.countWrong(server, publisher, restart);
  }
  return {
    id: "B9",
    recipe: `the server killed and started ${restarts} times under ${lines.length} kinds of subscription`,
    found: `all receiving again ${Math.round(slowest)} ms after it at the latest, ${wrong} of ${restarts * lines.length * markers} events after that not delivered exactly once`,
    bound: "at most 2000 ms, 0",
    holds: slowest <= 2_000 && wrong === 0,
  };
}

/** One kind of subscription, and how its presence is checked. */
async function line(name: string, topic: string, members: readonly Broker[], queue?: string) {
  const seen: string[] = [];
  for (const member of members) {
    const handler = ({ body }: { readonly body: Uint8Array }) =>
      void seen.push(Buffer.from(body).toString());
    await member.subscribe(topic, handler, queue === undefined ? {} : { queue });
  }
  const send = async (server: NatsServer, publisher: Broker, texts: readonly string[]) => {
    if (topic.startsWith("stream")) {
      await Promise.all(
        texts.map((text) => publisher.publish(topic, { ...event, body: Buffer.from(text) })),
      );
      return;
    }
    // Another connection, which is available at once.
    const tools = await connect({ servers: server.url });
    for (const text of texts) tools.publish(topic, text);
    await tools.drain();
  };
  return {
    async untilLive(server: NatsServer, publisher: Broker): Promise<void> {
      const before = seen.length;
      const asking = async () => {
        await send(server, publisher, ["are you there?"]);
        return seen.length > before;
      };
      if ((await until(asking, 10_000, 20)) > 10_000) throw new Error(`${name} does not come back`);
      // On core NATS every member has to be back before deliveries can be counted.
      await until(() => members.every(({ state }) => state === "healthy"), 10_000);
    },
    /** The number of events that do not arrive exactly once. */
    async countWrong(server: NatsServer, publisher: Broker, round: number): Promise<number> {
      const texts = Array.from({ length: markers }, (_, index) => `${round}/${index}`);
      await send(server, publisher, texts);
      await until(() => texts.every((text) => seen.includes(text)), 5_000);
      await sleep(50);
      return texts.filter((text) => seen.filter((each) => each === text).length !== 1).length;
    },
  };
}

/** No stream can store an event; publishing must report it. */
export async function nothingKeepsEvents(length: Length): Promise<Figure> {
  const count = length === "long" ? 1_000 : 200;
  await using bare = await startNats({ jetstream: false });
  await using server = await startNats();
  const tools = await connect({ servers: server.url });
  const manager = await tools.jetstreamManager();
  await manager.streams.add({ name: "micro-events", subjects: ["something.else.>"] });
  await tools.close();
  let [rejected, certain] = [0, 0];
  for (const { url } of [bare, server]) {
    await using broker = jetstreamBroker({ servers: url, timeoutMs: 500, logger: silentLogger });
    const publishing = Array.from({ length: count / 2 }, () =>
      broker.publish("work", { ...event, body: Buffer.from("x") }).catch((error) => {
        rejected++;
        if (error.outcome === "not-executed") certain++;
      }),
    );
    await Promise.all(publishing);
  }
  return {
    id: "B10",
    recipe: `${count} events published where JetStream is off, and where the stream does not accept the subject`,
    found: `${rejected} rejected, ${certain} of them as not executed`,
    bound: `${count}, ${count}`,
    holds: rejected === count && certain === count,
  };
}
