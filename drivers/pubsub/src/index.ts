export { type PubSubBrokerOptions, pubsubBroker } from "./broker/broker.ts";
export { pubsub } from "./driver.ts";
export { PubSubLink } from "./link/link.ts";
export type { PubSubOptions } from "./link/options.ts";
