import { memoryRegistry } from "@micro-es/runtime";
import type { TargetSetup } from "../target-process.ts";

const registry = memoryRegistry();

/** Where the target's HTTP broker takes events for its one subscription, to topic `news`. */
export interface BrokerDetails {
  readonly port: number;
  readonly id: string;
}

/** Subscribes the target to a topic by the HTTP broker. */
export const setup: TargetSetup = {
  options: () => ({ registry }),
  async afterStart(service): Promise<BrokerDetails> {
    await service.broker.subscribe("news", async () => {});
    const [node] = await registry.get("micro.http.broker");
    if (node === undefined) throw new Error("the subscription is not registered");
    return { port: Number(node.address.split(":")[1]), id: node.id };
  },
};
