import { natsBroker } from "@micro-es/nats";
import { silentLogger } from "@micro-es/runtime";
import { natsVersion } from "../../../drivers/nats/test/server.ts";
import { membersLeave } from "../broker/members-leave.ts";
import { brokerScenarios } from "../broker/scenarios.ts";
import { storeScenarios, syncScenarios } from "../coordination/scenarios.ts";
import type { FaultSuite } from "../figure.ts";
import { registryScenarios } from "../registry/scenarios.ts";
import { handledOnce } from "./broker-once.ts";
import { poisonBuried } from "./broker-poison.ts";
import { acksFollowSyncs } from "./broker-power-loss.ts";
import { nothingKeepsEvents, subscriptionsComeBack } from "./broker-restart.ts";
import { startBrokerServer } from "./broker-server.ts";
import { hostileSubscribers, slowSubscriber } from "./broker-subscribers.ts";
import { startCoordinationServer } from "./coordination-server.ts";
import { startRegistryServer } from "./registry-server.ts";

const broker = brokerScenarios(startBrokerServer, 50_000);

/** The faults injected into NATS, by the goal that each proves. */
export const suite: FaultSuite = {
  subject: `nats-server ${natsVersion}`,
  scenarios: {
    ...broker,
    B4: acksFollowSyncs,
    B5: slowSubscriber,
    B6: poisonBuried,
    B8: (length) =>
      membersLeave(startBrokerServer, length, [
        (servers) => natsBroker({ servers, logger: silentLogger }),
      ]),
    B9: subscriptionsComeBack,
    B10: nothingKeepsEvents,
    B12: hostileSubscribers,
    B13: handledOnce,
    ...registryScenarios(startRegistryServer),
    ...syncScenarios(startCoordinationServer),
    ...storeScenarios(startCoordinationServer),
  },
  waiting: ["D1", "D2", "D4", "D5", "D6", "S1", "S2", "S3", "S4", "S6", "T6"],
};
