import { pubSubVersion } from "../../../drivers/pubsub/test/server.ts";
import { consumersKilled, linkCut } from "../broker/delivery.ts";
import { membersLeave } from "../broker/members-leave.ts";
import { keysKeepOrder } from "../broker/order.ts";
import type { FaultSuite } from "../figure.ts";
import { startBrokerServer } from "./broker-server.ts";

/**
 * The faults injected into a broker on Google's fake of Pub/Sub, by the goal that each proves. The
 * fake delivers about 100 events a second to a member, so the forms are small, and none is long. B2
 * cannot hold on it, because it keeps events in memory, and neither can B7: an acknowledgement that
 * comes late counts on Pub/Sub.
 */
export const suite: FaultSuite = {
  subject: `${pubSubVersion}`,
  scenarios: {
    B1: () => consumersKilled(startBrokerServer, "short", 600),
    B3: () => linkCut(startBrokerServer, "short", [500, 10]),
    B8: () => membersLeave(startBrokerServer, "short", [], 15),
    B11: () => keysKeepOrder(startBrokerServer, "short", [20, 22]),
  },
  waiting: ["B1"],
};
