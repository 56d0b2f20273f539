import { startPubSub } from "../../../drivers/pubsub/test/server.ts";
import type { BrokerServer } from "../broker/backend.ts";

/** Google's fake, which says itself what was published. */
export async function startBrokerServer(): Promise<BrokerServer> {
  const server = await startPubSub();
  const untold = () => Promise.reject(new Error("Pub/Sub does not say what a group has left"));
  return {
    url: `pubsub://${server.address}`,
    port: server.port,
    storesRepetitions: true,
    kill: () => server.stop(),
    start: () => server.start(),
    storedIds: () => server.publishedIds("work"),
    pending: untold,
    hasGroup: untold,
    [Symbol.asyncDispose]: () => server.close(),
  };
}
