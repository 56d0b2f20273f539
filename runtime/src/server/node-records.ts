import { type AnyMethod, endpointOf } from "../call/method.ts";
import { type Endpoint, maxNodeBytes, maxNodeEndpoints, type Node } from "../registry/registry.ts";
import type { SubscriberOptions } from "./server.ts";

/** A subscriber, as the registry describes it. */
export interface RegisteredSubscriber {
  readonly topic: string;
  readonly options: SubscriberOptions;
}

/** The data that a server registers. */
export interface ServerRecord {
  readonly name: string;
  /** Unique for each start of the server. */
  readonly id: string;
  readonly version: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly methods: readonly AnyMethod[];
  readonly subscribers: readonly RegisteredSubscriber[];
}

/** One address at which a server is reached. */
export interface ServerAddress {
  readonly address: string;
  readonly transport: string;
  readonly protocol: string;
}

/**
 * The nodes that a server registers for an address. One has the server's own name and all
 * endpoints; one more exists for each other service name given by the schemas of its methods and
 * subscribers, so that a client that only knows the schema finds it. The format is go-micro's: ids
 * are `<service>-<id>`.
 *
 * `suffix` distinguishes the nodes of a server's further addresses.
 */
export function nodesOf(record: ServerRecord, at: ServerAddress, suffix = ""): readonly Node[] {
  const names = new Set([record.name]);
  // Services that are not from the user's schemas, such as health, have no name of their own.
  for (const { service } of record.methods) if (service !== "") names.add(service);
  for (const { options } of record.subscribers) names.add(options.service ?? record.name);
  return Array.from(names, (service): Node => {
    const serves = (of: string | undefined) =>
      service === record.name || service === (of ?? record.name);
    return {
      id: `${service}-${record.id}${suffix}`,
      service,
      version: record.version,
      address: at.address,
      metadata: {
        ...record.metadata,
        protocol: at.protocol,
        transport: at.transport,
        server: "micro-es",
      },
      endpoints: [
        ...record.methods.filter((method) => serves(method.service)).map(endpointOfMethod),
        ...record.subscribers
          .filter(({ options }) => serves(options.service))
          .map(endpointOfSubscriber),
      ],
    };
  });
}

/**
 * Whether a node's endpoints leave too little room in its record. Such a node is registered without
 * them: it can still be found, but not selected by endpoint.
 */
export function hasTooManyEndpoints(node: Node): boolean {
  let bytes = 0;
  for (const { name, metadata } of node.endpoints) {
    bytes += name.length;
    for (const [key, value] of Object.entries(metadata)) bytes += key.length + value.length;
  }
  return node.endpoints.length > maxNodeEndpoints || bytes > maxNodeBytes / 2;
}

function endpointOfMethod(method: AnyMethod): Endpoint {
  return {
    name: endpointOf(method.name),
    metadata: {
      kind: method.kind,
      method: method.name,
      // How go-micro marks methods that are not unary.
      ...(method.kind === "unary" ? {} : { stream: "true" }),
    },
  };
}

function endpointOfSubscriber({ topic, options }: RegisteredSubscriber): Endpoint {
  return {
    name: options.name === undefined ? topic : endpointOf(options.name),
    metadata: {
      topic,
      subscriber: "true",
      ...(options.queue === undefined ? {} : { queue: options.queue }),
    },
  };
}
