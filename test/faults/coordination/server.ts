import { consulSync } from "@micro-es/consul";
import { etcdStore, etcdSync } from "@micro-es/etcd";
import { natsStore, natsSync } from "@micro-es/nats";
import { postgresStore, postgresSync } from "@micro-es/postgres";
import { redisStore, redisSync } from "@micro-es/redis";
import type { Store, Sync } from "@micro-es/runtime";
import { zooKeeperSync } from "@micro-es/zookeeper";
import { consulRecords } from "../consul/records.ts";
import { zooKeeperRecords } from "../zookeeper/records.ts";

/** The server of a sync, into which faults are injected. */
export interface CoordinationServer extends AsyncDisposable {
  /** As {@link syncAt} and {@link recordsAt} take it. */
  readonly url: string;
  readonly port: number;
  kill(): Promise<void>;
  start(): Promise<void>;
  /**
   * Moves its wall clock to this many hours from ours.
   * @returns by how many it differs then, as the server states it. Absent where it cannot be moved.
   */
  moveClock?(hours: number): Promise<number>;
}

export type StartCoordinationServer = () => Promise<CoordinationServer>;

/** The server of a store as well. */
export interface StoreServer extends CoordinationServer {
  /** Whether it has records whose keys begin with `key/`, by a tool other than the store. */
  hasKeys(): Promise<boolean>;
  /** How long it may keep records that have expired, in milliseconds. */
  readonly keepsExpiredMs: number;
}

export type StartStoreServer = () => Promise<StoreServer>;

/** What recipes need of a store; a backend without one has it by other means. */
export type Records = Pick<Store, "read" | "write" | "close"> & AsyncDisposable;

/** Gives a sync a flaw, to prove that a recipe notices it. */
export type Flaw = (sync: Sync) => Sync;

interface Backend {
  sync(url: string, server: string): Sync;
  records(url: string, server: string): Records;
}

/** Scenarios share their process and the machine, so that responses may take long. */
const timeoutMs = 20_000;

const superuser = { user: "postgres", database: "postgres" };

/** By the scheme of a URL; `server` is what follows it. */
const backends: Readonly<Record<string, Backend>> = {
  consul: {
    sync: (_url, server) => consulSync({ address: server, timeoutMs }),
    records: (_url, server) => consulRecords({ address: server, timeoutMs }),
  },
  etcd: {
    sync: (_url, server) => etcdSync({ endpoints: server, timeoutMs }),
    records: (_url, server) => etcdStore({ endpoints: server, timeoutMs }),
  },
  nats: {
    sync: (url) => natsSync({ servers: url }),
    records: (url) => natsStore({ servers: url }),
  },
  postgres: {
    sync: (_url, server) => postgresSync({ ...superuser, servers: server, timeoutMs }),
    records: (_url, server) => postgresStore({ ...superuser, servers: server, timeoutMs }),
  },
  redis: {
    sync: (_url, server) => redisSync({ servers: server, timeoutMs }),
    records: (_url, server) => redisStore({ servers: server, timeoutMs }),
  },
  zookeeper: {
    sync: (_url, server) => zooKeeperSync({ servers: server, timeoutMs }),
    records: (_url, server) => zooKeeperRecords({ servers: server, timeoutMs }),
  },
};

/** The URL of a server that is reached through another port. */
export function through(server: CoordinationServer, port: number): string {
  return server.url.replace(/:\d+$/, `:${port}`);
}

/** A sync at a URL such as `etcd://127.0.0.1:port`. */
export function syncAt(url: string): Sync {
  const { backend, server } = parse(url);
  return backend.sync(url, server);
}

/** Records, as {@link syncAt}. */
export function recordsAt(url: string): Records {
  const { backend, server } = parse(url);
  return backend.records(url, server);
}

function parse(url: string): { readonly backend: Backend; readonly server: string } {
  const [scheme = "", server = ""] = url.split("://");
  const backend = backends[scheme];
  if (backend === undefined) throw new Error(`there are no recipes for ${url}`);
  return { backend, server };
}
