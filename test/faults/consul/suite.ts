import { consulVersion } from "../../../drivers/consul/test/server.ts";
import type { FaultSuite } from "../figure.ts";
import { registryAway } from "../registry/backend-away.ts";
import { registryScenarios } from "../registry/scenarios.ts";
import { startRegistryServer } from "./registry-server.ts";

/** The faults injected into Consul, by the goal that each proves. */
export const suite: FaultSuite = {
  subject: `Consul ${consulVersion}`,
  scenarios: {
    ...registryScenarios(startRegistryServer),
    "D5-wiped": (length) => registryAway(startRegistryServer, length, true),
  },
  waiting: ["D1", "D2", "D4", "D5", "D5-wiped", "D6"],
};
