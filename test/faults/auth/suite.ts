import { natsVersion } from "../../../drivers/nats/test/server.ts";
import type { FaultSuite } from "../figure.ts";
import { nothingRevoked, tokensRevoked } from "./revocation.ts";
import { startsWithoutStore } from "./start.ts";

/** The faults injected into accounts, keys and rules, by the goal that each proves. */
export const suite: FaultSuite = {
  subject: `localAuth and storeRules on nats-server ${natsVersion}`,
  scenarios: {
    AU2: tokensRevoked,
    "AU2-planted": nothingRevoked,
    AU8: startsWithoutStore,
  },
  waiting: ["AU2", "AU2-planted", "AU8"],
};
