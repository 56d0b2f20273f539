import { natsBroker } from "@micro-es/nats";
import { silentLogger } from "@micro-es/runtime";
import type { Contender } from "../contender.ts";
import { servePublisher, subscribeTo } from "../micro-es-events.ts";
import { noNatsServer, startNatsServer } from "../nats-server.ts";

const broker = (port: string) => natsBroker({ servers: `127.0.0.1:${port}`, logger: silentLogger });

/** Its address combines that of the publisher and the port of its nats-server. */
export const contender: Contender = {
  name: "micro-es-events-nats",
  about: "events of a generated topic through core NATS",
  unavailable: noNatsServer,
  async serve() {
    const nats = await startNatsServer();
    const publisher = await servePublisher(broker(String(nats.port)));
    return {
      address: `${publisher.address} ${nats.port}`,
      async close() {
        await publisher.close();
        nats.stop();
      },
    };
  },
  connect(address) {
    const [publisher = "", port = ""] = address.split(" ");
    return subscribeTo(broker(port), publisher);
  },
};
