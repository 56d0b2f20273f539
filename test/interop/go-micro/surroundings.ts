import { consulRegistry } from "@micro-es/consul";
import { etcdRegistry } from "@micro-es/etcd";
import { goMicroNatsRegistry, goMicroNatsTransport, NatsLink, natsBroker } from "@micro-es/nats";
import {
  type Broker,
  httpBroker,
  mdnsRegistry,
  type Registry,
  silentLogger,
  type Transport,
} from "@micro-es/runtime";
import { zooKeeperRegistry } from "@micro-es/zookeeper";
import {
  type ConsulServer,
  skipWithoutConsul,
  startConsul,
} from "../../../drivers/consul/test/server.ts";
import { type EtcdServer, skipWithoutEtcd, startEtcd } from "../../../drivers/etcd/test/server.ts";
import { type NatsServer, startNats } from "../../../drivers/nats/test/server.ts";
import {
  skipWithoutZooKeeper,
  startZooKeeper,
  type ZooKeeperServer,
} from "../../../drivers/zookeeper/test/server.ts";
import type { Fleet } from "./cases.ts";

/** How the programs of a fleet find each other, and which protocol they use. */
export interface Surroundings {
  readonly name: string;
  readonly protocol: Fleet["protocol"];
  open(): Promise<Network>;
}

/** Our side of a fleet, and how it is closed. */
export interface Network {
  readonly registry: Registry;
  readonly broker: Broker;
  /** Used by the server and, in addition to the usual ones, by the client; undefined: TCP. */
  readonly transport?: Transport;
  /** Arguments of the Go program. */
  readonly args: readonly string[];
  close(): Promise<void>;
}

async function local(): Promise<Network> {
  const only = process.env.MICRO_MDNS_INTERFACE;
  const registry = mdnsRegistry(only === undefined ? {} : { interface: only });
  return onSockets(registry, ["-network", "local"]);
}

function onSockets(registry: Registry, args: readonly string[]): Network {
  const broker = httpBroker({ registry, logger: silentLogger });
  return {
    registry,
    broker,
    args,
    async close() {
      await broker.close();
      await registry.close();
    },
  };
}

let natsServer: NatsServer | undefined;
let etcdServer: EtcdServer | undefined;
let consulServer: ConsulServer | undefined;
let zooKeeperServer: ZooKeeperServer | undefined;

async function onNats(): Promise<Network> {
  natsServer ??= await startNats({ jetstream: false });
  const link = new NatsLink({ servers: natsServer.url });
  const registry = goMicroNatsRegistry({ link });
  const broker = natsBroker({ link, format: "go-micro" });
  return {
    registry,
    broker,
    transport: goMicroNatsTransport({ link }),
    args: ["-network", "nats", "-nats", natsServer.url],
    async close() {
      await broker.close();
      await registry.close();
      await link.close();
    },
  };
}

async function onEtcd(): Promise<Network> {
  etcdServer ??= await startEtcd();
  const { url } = etcdServer;
  const address = new URL(url).host;
  return onSockets(etcdRegistry({ endpoints: url }), ["-network", "etcd", "-registry", address]);
}

async function onConsul(): Promise<Network> {
  consulServer ??= await startConsul();
  const { url } = consulServer;
  const address = new URL(url).host;
  return onSockets(consulRegistry({ address: url }), ["-network", "consul", "-registry", address]);
}

async function onZooKeeper(): Promise<Network> {
  zooKeeperServer ??= await startZooKeeper();
  const { address } = zooKeeperServer;
  const args = ["-network", "zookeeper", "-registry", address];
  return onSockets(zooKeeperRegistry({ servers: address }), args);
}

/**
 * The surroundings that run by name alone, because a program with go-micro 6 cannot have them: its
 * ZooKeeper registry is a plugin for go-micro 5.
 */
export const namedSurroundings: readonly Surroundings[] = skipWithoutZooKeeper
  ? []
  : onRegistry("ZooKeeper", onZooKeeper);

/** All other surroundings, except those whose server is not installed. */
export const allSurroundings: readonly Surroundings[] = [
  { name: "mucp", protocol: "mucp", open: local },
  { name: "gRPC", protocol: "grpc", open: local },
  { name: "mucp on NATS", protocol: "mucp", open: onNats },
  ...(skipWithoutEtcd ? [] : onRegistry("etcd", onEtcd)),
  ...(skipWithoutConsul ? [] : onRegistry("Consul", onConsul)),
];

function onRegistry(name: string, open: () => Promise<Network>): readonly Surroundings[] {
  return [
    { name: `mucp on ${name}`, protocol: "mucp", open },
    { name: `gRPC on ${name}`, protocol: "grpc", open },
  ];
}

/** Ends the servers that were started. */
export async function closeServers(): Promise<void> {
  const servers = [natsServer, etcdServer, consulServer, zooKeeperServer];
  await Promise.all(servers.map((server) => server?.close()));
}
