import { describe, test } from "vitest";
import { brokerContract, type CreateBrokers } from "../../../test/contract/broker.ts";
import { type TransportUnderTest, transportContract } from "../../../test/contract/transport.ts";
import { silentLogger } from "../base/logger.ts";
import { MemoryBrokerNetwork, memoryBroker } from "../broker/memory/broker.ts";
import { MemoryNetwork, memoryTransport } from "../transport/memory/transport.ts";
import { failingTransport } from "./failing-transport.ts";
import { ObservedBroker } from "./observed-broker.ts";
import { PlannedFailures } from "./planned-failures.ts";

/* A service under test behaves like any other, as long as no failure is planned. */

const observer = {
  published: () => {},
  subscribed: () => {},
  unsubscribed: () => {},
  handled: () => {},
};

const createBrokers: CreateBrokers = async (count) => {
  const network = new MemoryBrokerNetwork();
  const join = (options: { readonly closeGraceMs?: number } = {}) =>
    new ObservedBroker(
      memoryBroker({ network, overflow: "block", logger: silentLogger, ...options }),
      new PlannedFailures(),
      observer,
    );
  return { brokers: Array.from({ length: count }, () => join()), join };
};

describe("the observed broker", () => {
  for (const { name, run } of brokerContract(createBrokers)) test(name, run);
});

const network = new MemoryNetwork();
const underTest: TransportUnderTest = {
  create: (limits = {}) =>
    failingTransport(memoryTransport({ network, limits }), new PlannedFailures()),
  freeAddress: () => "memory:0",
  nowhere: "memory:nowhere",
};

describe("the failing transport", () => {
  for (const { name, run } of transportContract(underTest)) {
    test(name, { timeout: 90_000 }, run);
  }
});
