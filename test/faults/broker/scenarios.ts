import type { Scenario } from "../figure.ts";
import type { StartBrokerServer } from "./backend.ts";
import {
  consumersKilled,
  linkCut,
  longHandlers,
  type ServerKilledOptions,
  serverKilled,
} from "./delivery.ts";
import { membersLeave } from "./members-leave.ts";
import { keysKeepOrder } from "./order.ts";

type BrokerId = "B1" | "B2" | "B3" | "B7" | "B8" | "B11";

/**
 * The faults injected into every broker that keeps events, by the goal that each proves.
 * @param shortCount the number of events in the short form of B1.
 */
export function brokerScenarios(
  startServer: StartBrokerServer,
  shortCount: number,
  killed?: ServerKilledOptions,
): Readonly<Record<BrokerId, Scenario>> {
  return {
    B1: (length) => consumersKilled(startServer, length, shortCount),
    B2: (length) => serverKilled(startServer, length, killed),
    B3: (length) => linkCut(startServer, length),
    B7: (length) => longHandlers(startServer, length),
    B8: (length) => membersLeave(startServer, length),
    B11: (length) => keysKeepOrder(startServer, length),
  };
}
