import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Broker } from "@micro-es/runtime";
import { type Program, startProgram } from "../../support/argument-program.ts";
import { checkDelivery } from "../check-delivery.ts";
import type { Figure, Length } from "../figure.ts";
import { readLedgers } from "../ledger.ts";
import { until } from "../until.ts";
import { brokerAt, proxyOf, type StartBrokerServer, through } from "./backend.ts";
import { Publisher } from "./publisher.ts";

const slowConsumerFile = new URL("slow-consumer.ts", import.meta.url).href;
const consumerFile = new URL("consumer.ts", import.meta.url).href;

/** Four consumers of a queue group, one of which is repeatedly killed and replaced. */
export async function consumersKilled(
  startServer: StartBrokerServer,
  length: Length,
  shortCount: number,
): Promise<Figure> {
  const [count, everyMs] = length === "long" ? [1_000_000, 5_000] : [shortCount, 2_500];
  const maxInFlight = 64;
  await using server = await startServer();
  const directory = mkdtempSync(join(tmpdir(), "micro-faults-"));
  const start = () => startProgram(consumerFile, { url: server.url, directory, maxInFlight });
  // Long enough that no publication fails on a busy machine.
  const broker = brokerAt(server.url, { timeoutMs: 60_000 });
  const publisher = new Publisher(broker);
  try {
    const consumers: Program[] = await Promise.all([start(), start(), start(), start()]);
    let publishing = true;
    let kills = 0;
    const nemesis = async () => {
      while (publishing) {
        await sleep(everyMs);
        await consumers.shift()?.kill();
        kills++;
        consumers.push(await start());
      }
    };
    const killing = nemesis();
    await Promise.all([publisher.publish(count, 500)]);
    publishing = false;
    await killing;
    const handled = await settledLedgers(directory, publisher.acked);
    for (const consumer of consumers) await consumer.kill();
    const figures = checkDelivery(publisher, handled);
    const most = kills * 2 * maxInFlight;
    return {
      id: "B1",
      recipe: `${count} events, 4 consumers of a group, ${kills} killed`,
      found: `${figures.acked} acked, ${figures.lost} lost, ${figures.unknown} unknown, ${figures.duplicates} duplicates`,
      bound: `0 lost, 0 unknown, at most ${most} duplicates`,
      holds:
        kills > 0 &&
        figures.acked === count &&
        figures.lost === 0 &&
        figures.unknown === 0 &&
        figures.duplicates <= most,
    };
  } finally {
    await broker.close();
    rmSync(directory, { recursive: true });
  }
}

/** How a server is killed. */
export interface ServerKilledOptions {
  /** Events and kills of the short form. Default 10,000 and 5. */
  readonly shortForm?: readonly [count: number, kills: number];
  /** Pause after a publication that failed; longer where a server takes seconds. Default 50. */
  readonly pauseMs?: number;
}

/**
 * The server is killed while events are published; every acknowledged event must exist afterwards.
 */
export async function serverKilled(
  startServer: StartBrokerServer,
  length: Length,
  { shortForm = [10_000, 5], pauseMs = 50 }: ServerKilledOptions = {},
): Promise<Figure> {
  const [count, kills] = length === "long" ? [200_000, 20] : shortForm;
  await using server = await startServer();
  const broker = brokerAt(server.url, { timeoutMs: 10_000 });
  const publisher = new Publisher(broker, pauseMs);
  try {
    await publisher.publish(10, 1);
    const publishing = publisher.publish(count, 100);
    for (let kill = 0; kill < kills; kill++) {
      const mark = publisher.sent + count / kills / 2;
      while (publisher.sent < mark && publisher.sent < count) await sleep(5);
      await server.kill();
      await sleep(100);
      await server.start();
    }
    await publishing;
    const stored = await server.storedIds();
    const figures = checkDelivery(publisher, stored);
    return {
      id: "B2",
      recipe: `${count} events published, the server killed ${kills} times`,
      found: `${figures.acked} acked, ${figures.lost} lost, ${figures.unknown} unknown, ${figures.contradicted} contradicted, ${publisher.unsure.size + publisher.refused.size} reported as failed`,
      bound: "0 lost, 0 unknown, 0 contradicted",
      holds: figures.lost + figures.unknown + figures.contradicted === 0,
    };
  } finally {
    await broker.close();
  }
}

/**
 * The links of publisher and consumer are cut at random; nothing is lost, and nothing stored twice.
 * @param shortForm events and cuts of the short form.
 */
export async function linkCut(
  startServer: StartBrokerServer,
  length: Length,
  shortForm: readonly [count: number, cuts: number] = [10_000, 20],
): Promise<Figure> {
  const [count, cuts] = length === "long" ? [100_000, 200] : shortForm;
  await using server = await startServer();
  const proxies = [await proxyOf(server), await proxyOf(server)];
  const [there, here] = proxies.map((proxy) =>
    brokerAt(through(server, proxy.port), { timeoutMs: 10_000, ackWaitMs: 2_000 }),
  ) as [Broker, Broker];
  const publisher = new Publisher(there);
  const handled: string[] = [];
  try {
    await here.subscribe("work", (event) => void handled.push(event.id), { queue: "workers" });
    await publisher.publish(10, 1);
    const publishing = publisher.publish(count - 10, 50);
    for (let cut = 0; cut < cuts; cut++) {
      await sleep(100 + 200 * Math.random());
      proxies[cut % 2]?.cut();
    }
    await publishing;
    const until = performance.now() + 30_000;
    const missing = () => {
      const seen = new Set(handled);
      return [...publisher.acked].some((id) => !seen.has(id));
    };
    let seen = -1;
    while (performance.now() < until && (seen !== handled.length || missing())) {
      seen = handled.length;
      await sleep(500);
    }
    const figures = checkDelivery(publisher, handled);
    const stored = await server.storedIds();
    const twice = stored.length - new Set(stored).size;
    const broken = proxies.reduce((sum, proxy) => sum + proxy.cuts, 0);
    const repeats = server.storesRepetitions === true;
    return {
      id: "B3",
      recipe: `${count} events, links of publisher and consumer cut ${cuts} times in turn, which broke ${broken} connections`,
      found: `${figures.acked} acked, ${figures.lost} lost, ${figures.unknown} unknown, ${figures.contradicted} contradicted, ${twice} stored twice, ${figures.duplicates} delivered again`,
      bound: `0 lost, 0 unknown, 0 contradicted, ${repeats ? "any" : 0} stored twice; more than ${cuts / 2} broken (the cuts take effect)`,
      holds:
        broken > cuts / 2 &&
        figures.lost + figures.unknown + figures.contradicted === 0 &&
        (repeats || twice === 0),
    };
  } finally {
    await there.close();
    await here.close();
    for (const proxy of proxies) await proxy.close();
  }
}

/** Handlers take five times the time after which an event is redelivered to another member. */
export async function longHandlers(
  startServer: StartBrokerServer,
  length: Length,
): Promise<Figure> {
  const count = length === "long" ? 500 : 50;
  const ackWaitMs = 600;
  await using server = await startServer();
  const brokers = [1, 2].map(() => brokerAt(server.url, { ackWaitMs }));
  const publisher = new Publisher(brokers[0]!);
  const handled: string[] = [];
  try {
    for (const broker of brokers) {
      const handler = async (event: { readonly id: string }) => {
        await sleep(5 * ackWaitMs);
        handled.push(event.id);
      };
      await broker.subscribe("work", handler, { queue: "workers", maxInFlight: 20 });
    }
    await publisher.publish(count, 10);
    const until = performance.now() + 60_000;
    while (handled.length < count && performance.now() < until) await sleep(50);
    await sleep(2 * ackWaitMs);
    const figures = checkDelivery(publisher, handled);
    const late = await lateAck(startServer);
    return {
      id: "B7",
      recipe: `${count} events whose handlers take five times ackWaitMs; a member paused in a handler for that time`,
      found: `${figures.acked} acked, ${figures.lost} lost, ${figures.duplicates} handled twice; another member ${late.redelivered ? "got" : "did not get"} a second delivery of the paused one's event, for which the first one's late end ${late.counted ? "counted" : "did not count"}`,
      bound: "0 lost, 0 handled twice; got, did not count",
      holds:
        figures.acked === count &&
        figures.lost + figures.duplicates === 0 &&
        late.redelivered &&
        !late.counted,
    };
  } finally {
    for (const broker of brokers) await broker.close();
  }
}

/**
 * A member is paused until its event is delivered to another, and then ends its handling. Servers
 * take any acknowledgement of an event for that of its last delivery, so the driver must know that
 * it is too late.
 */
async function lateAck(
  startServer: StartBrokerServer,
): Promise<{ redelivered: boolean; counted: boolean }> {
  const ackWaitMs = 600;
  await using server = await startServer();
  await using broker = brokerAt(server.url, { ackWaitMs });
  // Long enough that it is certainly paused in its handler, however busy the machine is.
  const argument = { url: server.url, ackWaitMs, handlerMs: 3_000 };
  const member = await startProgram(slowConsumerFile, argument);
  await until(() => server.hasGroup(), 10_000);
  await new Publisher(broker).publish(1, 1);
  await until(() => member.lines.includes("begins"), 10_000);
  member.signal("SIGSTOP");
  let redelivered = false;
  let end = () => {};
  const handler = () => {
    redelivered = true;
    return new Promise<void>((resolve) => {
      end = resolve;
    });
  };
  await broker.subscribe("work", handler, { queue: "workers" });
  await until(() => redelivered, 20 * ackWaitMs);
  member.signal("SIGCONT");
  await until(() => member.lines.includes("ends"), 10_000);
  await sleep(200);
  const counted = (await server.pending()) !== 1;
  end();
  await member.kill();
  return { redelivered, counted };
}

/** The consumers' ledgers, once they contain everything published or no longer grow. */
async function settledLedgers(
  directory: string,
  wanted: ReadonlySet<string>,
): Promise<readonly string[]> {
  let before = -1;
  for (let quiet = 0; quiet < 4; ) {
    await sleep(2_000);
    const ids = readLedgers<{ id: string }>(directory).map(({ id }) => id);
    const complete = new Set(ids).size >= wanted.size;
    quiet = ids.length === before ? quiet + (complete ? 2 : 1) : 0;
    before = ids.length;
    if (quiet >= 4) return ids;
  }
  return [];
}
