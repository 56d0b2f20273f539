import { type AnyMethod, endpointOf } from "../method.ts";
import { type Endpoint, maxNodeBytes, maxNodeEndpoints, type Node } from "../registry/registry.ts";
import type { SubscriberOptions } from "./server.ts";

/** A subscriber as the registry tells of it. */
export interface RegisteredSubscriber {
  readonly topic: string;
  readonly options: SubscriberOptions;
}

/** What is known of a server when it registers. */
export interface ServerRecord {
  readonly name: string;
  /** Unique for each start of the server. */
  readonly id: string;
  readonly version: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly methods: readonly AnyMethod[];
  readonly subscribers: readonly RegisteredSubscriber[];
}

/** One of the places where a server is reached. */
export interface ServerAddress {
  readonly address: string;
  readonly transport: string;
  readonly protocol: string;
}

/**
 * The nodes that a server registers for an address: one under its own name with everything it answers, and one
 * under each other service name that the schemas of its methods and subscribers give, so that a client which
 * only knows the schema finds it. The shape is go-micro's: ids are `<service>-<id>`.
 *
 * `suffix` tells the nodes of a server's further addresses apart.
 */
export function nodesOf(record: ServerRecord, at: ServerAddress, suffix = ""): readonly Node[] {
  const names = new Set([record.name]);
  // Services that belong to no schema of the user's, as health, have no name of their own.
  for (const { service } of record.methods) if (service !== "") names.add(service);
  for (const { options } of record.subscribers) names.add(options.service ?? record.name);
  return Array.from(names, (service): Node => {
    const answers = (of: string | undefined) =>
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
        ...record.methods.filter((method) => answers(method.service)).map(endpointOfMethod),
        ...record.subscribers
          .filter(({ options }) => answers(options.service))
          .map(endpointOfSubscriber),
      ],
    };
  });
}

/**
 * Whether a node's endpoints leave too little room in its record. Such a node is registered without them: it
 * is found all the same, and only cannot be chosen by endpoint.
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
      // How go-micro marks what is not unary.
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
