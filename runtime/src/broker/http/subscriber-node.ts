import { formatAddress, parseAddress } from "../../base/address.ts";
import type { Node } from "../../registry/registry.ts";

/** The service name under which go-micro's HTTP brokers register their subscriptions. */
export const brokerService = "micro.http.broker";

/** The version of a subscription outside any queue group; in a group it is the group's name. */
export const broadcastVersion = "ff.http.broadcast";

/** A subscription, as its registry record describes it. */
export interface Target {
  readonly id: string;
  readonly topic: string;
  /** Undefined outside any group. */
  readonly queue: string | undefined;
  readonly host: string;
  readonly port: number;
}

/** The registry record of a subscription, in go-micro's format. */
export function subscriptionNode(
  id: string,
  topic: string,
  queue: string | undefined,
  address: string,
): Node {
  return {
    id,
    service: brokerService,
    version: queue ?? broadcastVersion,
    address,
    metadata: { broker: "http", topic, secure: "false" },
    endpoints: [],
  };
}

/** Parses a record; returns a string with the reason if this broker cannot send to it. */
export function readNode(node: Node): Target | string {
  const { broker, topic, secure } = node.metadata;
  if (broker !== "http") return "it is not of an HTTP broker";
  if (topic === undefined) return "it names no topic";
  if (secure === "true") return "it asks for TLS, which this broker does not speak";
  const address = parseAddress(node.address);
  if (address.kind !== "host") return `${formatAddress(address)} is not an address for HTTP`;
  const queue = node.version === broadcastVersion ? undefined : node.version;
  return { id: node.id, topic, queue, host: address.host, port: address.port };
}
