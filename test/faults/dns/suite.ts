import { nsdVersion } from "../../../drivers/dns/test/server.ts";
import type { FaultSuite } from "../figure.ts";
import { forgedResponses, partialResponses } from "./responses.ts";
import { serverAway, zoneChanges, zoneReloads } from "./zone.ts";

/** The faults of DNS servers, by the goal that each proves. */
export const suite: FaultSuite = {
  subject: `NSD ${nsdVersion}`,
  scenarios: {
    N1: zoneChanges,
    N2: serverAway,
    N3: partialResponses,
    N4: forgedResponses,
    N5: zoneReloads,
  },
  waiting: ["N1", "N2", "N3", "N4", "N5"],
};
