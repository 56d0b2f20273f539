import { httpBroker, mdnsRegistry, silentLogger } from "@micro-es/runtime";
import type { Contender } from "../contender.ts";
import { servePublisher, subscribeTo } from "../micro-es-events.ts";

/**
 * Both sides are children of one process, so both compute the same port, and no traffic leaves the
 * machine.
 */
function broker() {
  const port = 20_000 + (process.ppid % 10_000);
  const registry = mdnsRegistry({ interface: "127.0.0.1", port });
  return httpBroker({ registry, logger: silentLogger, native: false });
}

export const contender: Contender = {
  name: "micro-es-events-http",
  about: "events of a generated topic, an HTTP request each as for go-micro, found by mDNS",
  serve: () => servePublisher(broker()),
  connect: (address) => subscribeTo(broker(), address),
};
