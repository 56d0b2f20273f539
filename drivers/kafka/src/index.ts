export { type KafkaBrokerOptions, kafkaBroker } from "./broker/broker.ts";
export { kafka } from "./driver.ts";
export { KafkaLink } from "./link/link.ts";
export type { KafkaMechanism, KafkaOptions, KafkaTlsOptions } from "./link/options.ts";
