import { postgresVersion } from "../../../drivers/postgres/test/server.ts";
import { linksLost } from "../coordination/links.ts";
import { responsesLost } from "../coordination/outcomes.ts";
import { storeScenarios, syncScenarios } from "../coordination/scenarios.ts";
import type { FaultSuite } from "../figure.ts";
import { startCoordinationServer } from "./coordination-server.ts";
import { outboxRelayed, plantedOutbox } from "./outbox.ts";
import { silentWatch, watchesFold } from "./watch.ts";

const { S1, S3, S6 } = syncScenarios(startCoordinationServer);

/** The faults injected into PostgreSQL, by the goal that each proves. */
export const suite: FaultSuite = {
  subject: `PostgreSQL ${postgresVersion}`,
  scenarios: {
    S1,
    S3,
    S6,
    ...storeScenarios(startCoordinationServer),
    O1: (length) => responsesLost(startCoordinationServer, length),
    W1: watchesFold,
    W2: silentWatch,
    K2: (length) => linksLost(startCoordinationServer, length),
    X1: outboxRelayed,
    "X1-planted": plantedOutbox,
  },
  waiting: [
    ["S1", "S3", "W2"],
    ["S6", "T6"],
    ["X1", "X1-planted"],
  ],
  // They need a machine of their own: bounds of a second, and a history that is cut in time.
  byHand: ["S6", "W1"],
};
