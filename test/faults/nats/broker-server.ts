import { connect, type NatsConnection } from "nats";
import { startNats } from "../../../drivers/nats/test/server.ts";
import type { BrokerServer } from "../broker/backend.ts";

/** A server with the stream of {@link jetstreamBroker}, read with NATS' own library. */
export async function startBrokerServer(): Promise<BrokerServer> {
  const nats = await startNats();
  const withTools = async <T>(work: (connection: NatsConnection) => Promise<T>): Promise<T> => {
    const connection = await connect({ servers: nats.url });
    try {
      return await work(connection);
    } finally {
      await connection.close();
    }
  };
  const consumers = () =>
    withTools(async (connection) => {
      const manager = await connection.jetstreamManager();
      return await manager.consumers.list("micro-events").next();
    });
  return {
    url: nats.url,
    port: nats.port,
    kill: () => nats.stop("SIGKILL"),
    start: () => nats.start(),
    storedIds: () => withTools(storedIds),
    pending: async () => (await consumers())[0]?.num_ack_pending ?? 0,
    hasGroup: async () => (await consumers()).length === 1,
    [Symbol.asyncDispose]: () => nats.close(),
  };
}

async function storedIds(connection: NatsConnection): Promise<readonly string[]> {
  const jetstream = connection.jetstream();
  const { state } = await (await connection.jetstreamManager()).streams.info("micro-events");
  const consumer = await jetstream.consumers.get("micro-events");
  const ids: string[] = [];
  const messages = await consumer.consume();
  for await (const message of messages) {
    ids.push(message.headers?.get("Micro-ID") ?? "");
    if (message.seq >= state.last_seq) break;
  }
  await messages.close();
  return ids;
}
