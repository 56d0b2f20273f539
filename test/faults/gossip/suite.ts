import { spawnSync } from "node:child_process";
import type { FaultSuite } from "../figure.ts";
import {
  clusterSplit,
  cutOffPlanted,
  membersKilled,
  oneWayLoss,
  packetsLost,
} from "./scenarios.ts";

const isRoot = process.getuid?.() === 0;
const isMissing = (program: string) => spawnSync(program, ["-V"]).error !== undefined;
const isPossible = isRoot && !["ip", "iptables"].some(isMissing);
// In CI, root without the programs is a failure, which the first scenario reports.
if (!isPossible && !(isRoot && process.env.CI === "true")) {
  console.error("SKIPPED: npm run faults -- gossip needs root and the programs ip and iptables");
  process.exit(0);
}

/** The faults injected into a gossip cluster whose members are in network namespaces. */
export const suite: FaultSuite = {
  subject: "gossip, five processes in network namespaces",
  scenarios: {
    G1: membersKilled,
    G2: clusterSplit,
    G3: oneWayLoss,
    G4: packetsLost,
    "G4-planted": cutOffPlanted,
  },
  waiting: ["G1", "G2"],
};
