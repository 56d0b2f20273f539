import type { FaultSuite } from "../figure.ts";
import { connectionsCut } from "./cut.ts";
import { serverHalfOpen } from "./half-open.ts";
import { serverKilled } from "./killed.ts";
import { abruptRestart, rollingRestart } from "./restarts.ts";

/** The faults injected into servers and connections, by the goal that each proves. */
export const suite: FaultSuite = {
  subject: "servers on one port, native and gRPC",
  scenarios: {
    R1: rollingRestart,
    "R1-planted": abruptRestart,
    R2: serverKilled,
    R3: connectionsCut,
    R9: serverHalfOpen,
  },
};
