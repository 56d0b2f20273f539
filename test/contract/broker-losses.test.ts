import {
  type Broker,
  type EventHandler,
  type IncomingEvent,
  MemoryBrokerNetwork,
  memoryBroker,
  silentLogger,
} from "@micro-es/runtime";
import { expect, test } from "vitest";
import { testInCi } from "../support/long.ts";
import { brokerContract, type CreateBrokers } from "./broker.ts";

/** What a faulty broker does instead of calling a handler. */
type Fault = (handler: EventHandler, event: IncomingEvent) => ReturnType<EventHandler>;

/** Memory brokers that lose nothing, except for the fault. */
function faulty(fault: Fault): CreateBrokers {
  return async (count) => {
    const network = new MemoryBrokerNetwork();
    const join = (options: { readonly closeGraceMs?: number } = {}): Broker => {
      const broker = memoryBroker({
        network,
        overflow: "block",
        logger: silentLogger,
        ...options,
      });
      const { subscribe } = broker;
      broker.subscribe = (topic, handler, settings) =>
        subscribe.call(broker, topic, (event) => fault(handler, event), settings);
      return broker;
    };
    return { brokers: Array.from({ length: count }, () => join()), join };
  };
}

function runCase(brokers: CreateBrokers, pattern: RegExp): Promise<void> {
  const found = brokerContract(brokers).find(({ name }) => pattern.test(name));
  if (found === undefined) throw new Error(`no case is called ${pattern}`);
  return found.run();
}

const whileStopping = /while members of a group stop/;

test("the suite passes a broker without faults", async () => {
  await runCase(
    faulty((handler, event) => handler(event)),
    whileStopping,
  );
});

testInCi(
  "the suite finds one event in a hundred that is acknowledged but was never handled",
  async () => {
    const lossy = faulty((handler, event) =>
      event.id.endsWith("-7") ? undefined : handler(event),
    );
    await expect(runCase(lossy, whileStopping)).rejects.toThrow(/it never happened/);
  },
);

test("the suite finds attempts that count unhandled deliveries", async () => {
  const miscounted = faulty((handler, event) => {
    const attempt = event.id.endsWith("-7") ? event.attempt + 1 : event.attempt;
    return handler(
      new Proxy(event, {
        get: (target, name) => (name === "attempt" ? attempt : Reflect.get(target, name, target)),
      }),
    );
  });
  await expect(runCase(miscounted, whileStopping)).rejects.toThrow(/do not count its handlings/);
});
