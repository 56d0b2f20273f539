import { natsVersion } from "../../../drivers/nats/test/server.ts";
import { storeScenarios, syncScenarios } from "../coordination/scenarios.ts";
import type { FaultSuite } from "../figure.ts";
import { registryScenarios } from "../registry/scenarios.ts";
import { consumersKilled, linkCut, longHandlers, serverKilled } from "./broker.ts";
import { handledOnce } from "./broker-once.ts";
import { keysKeepOrder } from "./broker-order.ts";
import { poisonBuried } from "./broker-poison.ts";
import { acksFollowSyncs } from "./broker-power-loss.ts";
import { nothingKeepsEvents, subscriptionsComeBack } from "./broker-restart.ts";
import { hostileSubscribers, slowSubscriber } from "./broker-subscribers.ts";
import { membersLeave } from "./broker-unsubscribe.ts";
import { startCoordinationServer } from "./coordination-server.ts";
import { startRegistryServer } from "./registry-server.ts";

/** The faults injected into NATS, by the goal that each proves. */
export const suite: FaultSuite = {
  subject: `nats-server ${natsVersion}`,
  scenarios: {
    B1: consumersKilled,
    B2: serverKilled,
    B3: linkCut,
    B4: acksFollowSyncs,
    B5: slowSubscriber,
    B6: poisonBuried,
    B7: longHandlers,
    B8: membersLeave,
    B9: subscriptionsComeBack,
    B10: nothingKeepsEvents,
    B11: keysKeepOrder,
    B12: hostileSubscribers,
    B13: handledOnce,
    ...registryScenarios(startRegistryServer),
    ...syncScenarios(startCoordinationServer),
    ...storeScenarios(startCoordinationServer),
  },
  waiting: ["D1", "D2", "D4", "D5", "D6", "S1", "S2", "S3", "S4", "S6", "T6"],
};
