import type { Node } from "@micro-es/runtime";
import type { Msg, NatsConnection, Subscription } from "nats";

const verbs = ["PING", "INFO", "STATS"] as const;
type Verb = (typeof verbs)[number];

const semanticVersion = /^\d+\.\d+\.\d+(?:[-+][0-9A-Za-z.+-]+)?$/;

/**
 * Responds for a node as NATS' own services do (`$SRV.PING`, `INFO` and `STATS`, to all, by name
 * and by id), so that `nats service ls` shows it. A registry has no counts, so its statistics are
 * zeros.
 */
export class ServiceResponder {
  readonly #node: Node;
  readonly #started = new Date().toISOString();
  readonly #subscriptions: readonly Subscription[];

  constructor(connection: NatsConnection, node: Node) {
    this.#node = node;
    const name = nameOf(node);
    this.#subscriptions = verbs.flatMap((verb) =>
      [`$SRV.${verb}`, `$SRV.${verb}.${name}`, `$SRV.${verb}.${name}.${idOf(node)}`].map(
        (subject) =>
          connection.subscribe(subject, {
            callback: (error, message) => {
              if (error === null) this.#respond(verb, message);
            },
          }),
      ),
    );
  }

  close(): void {
    for (const subscription of this.#subscriptions) subscription.unsubscribe();
  }

  #respond(verb: Verb, message: Msg): void {
    const { version, metadata, endpoints, service, address } = this.#node;
    const response = {
      type: `io.nats.micro.v1.${verb.toLowerCase()}_response`,
      name: nameOf(this.#node),
      id: idOf(this.#node),
      version: semanticVersion.test(version) ? version : "0.0.0",
      metadata: { ...metadata, service, version, address },
      ...(verb === "INFO" ? { description: `${service} at ${address}` } : {}),
      ...(verb === "STATS" ? { started: this.#started } : {}),
      ...(verb === "PING"
        ? {}
        : {
            endpoints: endpoints.map((endpoint) => ({
              name: plain(endpoint.name),
              subject: address,
              queue_group: "",
              ...(verb === "INFO"
                ? { metadata: { ...endpoint.metadata, name: endpoint.name } }
                : zeros),
            })),
          }),
    };
    message.respond(JSON.stringify(response));
  }
}

const zeros = {
  num_requests: 0,
  num_errors: 0,
  last_error: "",
  processing_time: 0,
  average_processing_time: 0,
} as const;

function nameOf(node: Node): string {
  return plain(node.service);
}

function idOf(node: Node): string {
  return plain(node.id);
}

/**
 * NATS allows fewer characters in a name than we do, and its tools ignore a response with others;
 * the metadata contains the full name.
 */
function plain(name: string): string {
  return name.replace(/[^A-Za-z0-9_-]/g, "_");
}
