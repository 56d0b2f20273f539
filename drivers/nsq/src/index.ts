export { type NsqBrokerOptions, nsqBroker } from "./broker/broker.ts";
export { nsq } from "./driver.ts";
export { NsqLink } from "./link/link.ts";
export type { NsqOptions, NsqTlsOptions } from "./link/options.ts";
