export { type RabbitMqBrokerOptions, rabbitmqBroker } from "./broker/broker.ts";
export { rabbitmq } from "./driver.ts";
export { RabbitMqLink } from "./link/link.ts";
export type { RabbitMqOptions, RabbitMqTlsOptions } from "./link/options.ts";
export { type RabbitMqTransportOptions, rabbitmqTransport } from "./transport/transport.ts";
