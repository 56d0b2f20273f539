import { kafkaBroker } from "@micro-es/kafka";
import { jetstreamBroker } from "@micro-es/nats";
import { nsqBroker } from "@micro-es/nsq";
import { pubsubBroker } from "@micro-es/pubsub";
import { rabbitmqBroker } from "@micro-es/rabbitmq";
import { redisBroker } from "@micro-es/redis";
import { type Broker, silentLogger } from "@micro-es/runtime";
import { FaultProxy } from "../../support/proxy.ts";

/** The server of a broker, into which faults are injected. */
export interface BrokerServer extends AsyncDisposable {
  /** As {@link brokerAt} takes it. */
  readonly url: string;
  readonly port: number;
  /** Whether a publication that is sent again is stored again. Default: it is not. */
  readonly storesRepetitions?: boolean;
  /**
   * A proxy that clients stay behind although the server names its own address; absent where a
   * proxy to {@link port} does.
   */
  proxy?(): Promise<FaultProxy>;
  kill(): Promise<void>;
  start(): Promise<void>;
  /** The ids of all events on the topic `work`, read by another library than the driver. */
  storedIds(): Promise<readonly string[]>;
  /** The number of events of the group `workers` on that topic that have no acknowledgement. */
  pending(): Promise<number>;
  /** Whether that group exists. */
  hasGroup(): Promise<boolean>;
}

export type StartBrokerServer = () => Promise<BrokerServer>;

/** Options that brokers with a server have in common. */
export interface BrokerAtOptions {
  readonly timeoutMs?: number;
  readonly ackWaitMs?: number;
  readonly ordering?: "none" | "key";
  /** Separates the events of one broker from those of another. */
  readonly fleet?: string;
}

/** A broker at a URL such as `redis://127.0.0.1:port`, or at that of a JetStream. */
export function brokerAt(url: string, { fleet, ...options }: BrokerAtOptions = {}): Broker {
  const logger = silentLogger;
  if (url.startsWith("redis://")) {
    const prefix = fleet === undefined ? {} : { prefix: fleet };
    return redisBroker({ servers: url.slice("redis://".length), ...prefix, ...options, logger });
  }
  if (url.startsWith("amqp://")) {
    const { host, searchParams } = new URL(url);
    const { ackWaitMs: _, ...rest } = options;
    const exchange = [searchParams.get("exchange") ?? "micro", fleet ?? "events"].join(".");
    return rabbitmqBroker({ servers: host, exchange, ...rest, logger });
  }
  if (url.startsWith("nsq://")) {
    // nsqd allows no less than a second, and a fake in a busy process may not run for two.
    const { timeoutMs = 5_000, ackWaitMs = 5_000 } = options;
    const wait = ackWaitMs < 1_000 ? 1_000 : 5_000;
    return nsqBroker({ servers: url.slice("nsq://".length), timeoutMs, ackWaitMs: wait, logger });
  }
  if (url.startsWith("pubsub://")) {
    const emulator = url.slice("pubsub://".length);
    const prefix = fleet === undefined ? {} : { prefix: fleet };
    return pubsubBroker({ emulator, project: "faults", ...prefix, ...options, logger });
  }
  if (url.startsWith("kafka://")) {
    const { host, searchParams } = new URL(url);
    const { ackWaitMs: sessionTimeoutMs, ...rest } = options;
    const prefix = [searchParams.get("fleet") ?? "micro", fleet].filter(Boolean).join(".");
    const session = sessionTimeoutMs === undefined ? {} : { sessionTimeoutMs };
    // A server that has just started takes seconds to create a topic on a busy machine.
    return kafkaBroker({ servers: host, prefix, timeoutMs: 30_000, ...session, ...rest, logger });
  }
  const names = fleet === undefined ? {} : { stream: fleet, prefix: fleet };
  return jetstreamBroker({ servers: url, ...names, ...options, logger });
}

/** A proxy between a server and brokers. */
export function proxyOf(server: BrokerServer): Promise<FaultProxy> {
  return server.proxy?.() ?? FaultProxy.start(server.port);
}

/** The URL of a server that is reached through another port. */
export function through(server: BrokerServer, port: number): string {
  return server.url.replace(/:\d+(?=$|\/)/, `:${port}`);
}
