import { natsBroker } from "@micro-es/nats";
import { memoryRegistry } from "@micro-es/runtime";
import { topic as createTopic } from "@micro-es/runtime/codegenv1/topic";
import { targetCodecs } from "../../gen/micro/attack/v1/target_micro.ts";
import type { TargetSetup } from "../target-process.ts";
import type { BrokerDetails } from "./broker-setup.ts";

const codec = targetCodecs.find(({ typeName }) => typeName === "micro.attack.v1.SayRequest")!;
const topic = createTopic({ name: "news", codec });
const registry = memoryRegistry();

let handled = () => {};
const handling = new Promise<boolean>((resolve) => {
  handled = () => resolve(true);
});

/**
 * Subscribes the target to messages on the topic `news`, by the HTTP broker from its start where
 * that is its broker, and by NATS for `nats URL`. `handled` waits until a handler had an event.
 */
export const setup: TargetSetup = {
  options: () => ({ registry }),
  async afterStart(service): Promise<BrokerDetails | undefined> {
    if (process.env.MICRO_BROKER !== "http") return undefined;
    await topic.subscribe(service.broker, handled);
    const [node] = await registry.get("micro.http.broker");
    if (node === undefined) throw new Error("the subscription is not registered");
    return { port: Number(node.address.split(":")[1]), id: node.id };
  },
  async perform(action) {
    const [what, servers = ""] = action.split(" ");
    if (what === "handled") return await handling;
    await topic.subscribe(natsBroker({ servers }), handled);
    return true;
  },
};
