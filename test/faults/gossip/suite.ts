import { spawnSync } from "node:child_process";
import type { FaultSuite } from "../figure.ts";
import {
  fleetJoins,
  fleetKilled,
  fleetLoss,
  fleetRecords,
  fleetSplit,
  fleetStalls,
  fleetStallsPlanted,
} from "./fleet.ts";
import {
  clusterSplit,
  cutOffPlanted,
  memberIsolated,
  membersKilled,
  oneWayLoss,
  packetsLost,
} from "./scenarios.ts";

const isRoot = process.getuid?.() === 0;
const isMissing = (program: string) => spawnSync(program, ["-V"]).error !== undefined;
const missing = ["ip", "iptables"].filter(isMissing);
// What can be installed must be there in CI; what the machine refuses cannot be.
if (isRoot && missing.length > 0 && process.env.CI === "true") {
  throw new Error(`npm run faults -- gossip needs ${missing.join(" and ")}: run test/setup`);
}
const refusal = refusalOfMachine();
if (refusal !== undefined) {
  console.error(`\n*** SKIPPED: npm run faults -- gossip: ${refusal} ***\n`);
  process.exit(0);
}

/** Why networks cannot be created here; undefined where they can. */
function refusalOfMachine(): string | undefined {
  if (!isRoot) return "it needs root, to create network namespaces";
  if (missing.length > 0) return `it needs ${missing.join(" and ")}: run test/setup`;
  const name = `mgprobe${process.pid}`;
  const inside = ["netns", "exec", name];
  const lossy = ["-A", "INPUT", "-m", "statistic", "--mode", "random", "--probability", "0.5"];
  const needed = [
    ["netns", "add", name],
    [...inside, "ip", "link", "add", "bridge", "type", "bridge"],
    [...inside, "ip", "link", "add", "one", "type", "veth", "peer", "name", "other"],
    [...inside, "iptables", ...lossy, "-j", "DROP"],
  ];
  try {
    for (const words of needed) {
      const { status, stderr } = spawnSync("ip", words, { encoding: "utf8" });
      if (status !== 0) return `this machine refuses ip ${words.join(" ")}: ${stderr.trim()}`;
    }
    return undefined;
  } finally {
    spawnSync("ip", ["netns", "delete", name]);
  }
}

/** The faults injected into a gossip cluster whose members are in network namespaces. */
export const suite: FaultSuite = {
  subject: "gossip, processes in network namespaces",
  scenarios: {
    G1: membersKilled,
    G2: clusterSplit,
    G3: oneWayLoss,
    G4: packetsLost,
    "G4-planted": cutOffPlanted,
    G5: memberIsolated,
    G6: fleetKilled,
    G7: fleetStalls,
    "G7-planted": fleetStallsPlanted,
    G8: fleetSplit,
    G9: fleetLoss,
    G10: fleetJoins,
    G11: fleetRecords,
  },
  byHand: ["G6", "G7", "G7-planted", "G8", "G9", "G10", "G11"],
  waiting: [["G1", "G2"], ["G5"]],
};
