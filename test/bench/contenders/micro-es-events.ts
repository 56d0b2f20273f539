import { httpBroker, mdnsRegistry, silentLogger } from "@micro-es/runtime";
import type { Contender } from "../contender.ts";
import { servePublisher, subscribeTo } from "../micro-es-events.ts";

/**
 * Both sides are children of one process, so both compute the same port, and no traffic leaves the
 * machine.
 */
function broker() {
  const port = 30_000 + (process.ppid % 10_000);
  const registry = mdnsRegistry({ interface: "127.0.0.1", port });
  return httpBroker({ registry, logger: silentLogger });
}

export const contender: Contender = {
  name: "micro-es-events",
  about: "events of a generated topic, point to point by the default broker, found by mDNS",
  serve: () => servePublisher(broker()),
  connect: (address) => subscribeTo(broker(), address),
};
