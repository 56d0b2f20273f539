/** Schemes of a backend's own tools whose package has another name. */
const packages: Readonly<Record<string, string>> = {
  tls: "nats",
  etcds: "etcd",
  consuls: "consul",
  zookeepers: "zookeeper",
  rediss: "redis",
  kafkas: "kafka",
  nsqs: "nsq",
  amqp: "rabbitmq",
  amqps: "rabbitmq",
  postgresql: "postgres",
};

/** The schemes of the published driver packages, which a misspelled scheme may mean. */
export const publishedSchemes: readonly string[] = [
  "nats",
  "tls",
  "etcd",
  "etcds",
  "consul",
  "consuls",
  "dns",
  "zookeeper",
  "zookeepers",
  "kafka",
  "kafkas",
  "amqp",
  "amqps",
  "rabbitmq",
  "nsq",
  "nsqs",
  "pubsub",
  "redis",
  "rediss",
  "postgres",
  "postgresql",
];

/** The package whose driver handles a scheme, and the name of the exported driver. */
export function driverPackage(scheme: string): { readonly name: string; readonly value: string } {
  const base = Object.hasOwn(packages, scheme) ? packages[scheme]! : scheme.replace(/\+.*/, "");
  const value = base.replace(/[.-](\w)/g, (_, letter: string) => letter.toUpperCase());
  return { name: `@micro-es/${base}`, value };
}
