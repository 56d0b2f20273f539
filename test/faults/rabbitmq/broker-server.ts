import { setTimeout as sleep } from "node:timers/promises";
import { type Channel, type ConsumeMessage, connect } from "amqplib";
import { type RabbitMqServer, startRabbitMq } from "../../../drivers/rabbitmq/test/server.ts";
import { type BrokerServer, brokerAt } from "../broker/backend.ts";
import { until } from "../until.ts";

/** A quorum queue that is younger may be lost when its only node is killed. */
const settledMs = 8_000;
/** A group without members, whose queue keeps all events. */
const witness = "witness";

/** A part of a server, with an exchange of its own. */
export interface Fleet extends BrokerServer {
  /** The queue of a group for the topic `work`. */
  queueOf(group: string): string;
  /** Removes all events that {@link BrokerServer.storedIds} would read. */
  forget(): Promise<void>;
}

let shared: Promise<RabbitMqServer> | undefined;
let fleets = 0;

/** The server of recipes that do not end it, since it takes seconds to start. */
export function sharedServer(): Promise<RabbitMqServer> {
  shared ??= startRabbitMq();
  return shared;
}

/** Ends the shared server, if one was started. */
export async function closeSharedServer(): Promise<void> {
  await (await shared?.catch(() => undefined))?.close();
}

/** A part of the shared server with an exchange of its own. */
export async function startFleet(): Promise<Fleet> {
  return fleetOf(await sharedServer(), async () => {});
}

/** As {@link startFleet}, and keeps all events where {@link BrokerServer.storedIds} reads them. */
export async function startWitnessedFleet(): Promise<Fleet> {
  const fleet = await startFleet();
  await declareWitness(fleet.url);
  return fleet;
}

/** A server that may be killed, and keeps all events. */
export async function startBrokerServer(): Promise<Fleet> {
  const server = await startRabbitMq();
  const fleet = fleetOf(server, () => server.close());
  await declareWitness(fleet.url);
  await sleep(settledMs);
  return fleet;
}

/** Does something with a channel of the client library. */
export async function withTools<T>(
  server: RabbitMqServer,
  work: (tools: Channel) => Promise<T>,
): Promise<T> {
  const connection = await connect(`amqp://${server.address}`);
  connection.on("error", () => {});
  try {
    const tools = await connection.createChannel();
    tools.on("error", () => {});
    return await work(tools);
  } finally {
    await connection.close().catch(() => {});
  }
}

function fleetOf(server: RabbitMqServer, close: () => Promise<void>): Fleet {
  const exchange = `f${fleets++}`;
  const queueOf = (group: string) => `${exchange}.events=${group}=work`;
  return {
    queueOf,
    forget: () =>
      withTools(server, async (tools) => {
        await tools.purgeQueue(queueOf(witness));
      }),
    url: `amqp://${server.address}/?exchange=${exchange}`,
    port: server.port,
    storesRepetitions: true,
    kill: () => server.stop("SIGKILL"),
    start: () => server.start(),
    storedIds: () => withTools(server, (tools) => idsIn(tools, queueOf(witness))),
    // The server only counts those that wait.
    pending: async () => 0,
    hasGroup: () =>
      withTools(server, async (tools) => {
        await tools.checkQueue(queueOf("workers"));
        return true;
      }),
    [Symbol.asyncDispose]: close,
  };
}

async function declareWitness(url: string): Promise<void> {
  await using broker = brokerAt(url);
  await (await broker.subscribe("work", () => {}, { queue: witness })).close();
}

/** Takes all events out of a queue, and returns their ids. */
async function idsIn(tools: Channel, queue: string): Promise<readonly string[]> {
  const { messageCount } = await tools.checkQueue(queue);
  const ids: string[] = [];
  const take = (message: ConsumeMessage | null) =>
    void ids.push(String(message?.properties.messageId));
  // A quorum queue delivers at most 2,000 that are not acknowledged.
  await tools.consume(queue, take, { noAck: true });
  await until(() => ids.length >= messageCount, 30_000);
  return ids;
}
