import { etcdStore, etcdSync } from "@micro-es/etcd";
import { natsStore, natsSync } from "@micro-es/nats";
import type { Store, Sync } from "@micro-es/runtime";

/** The server of a store and a sync, into which faults are injected. */
export interface CoordinationServer extends AsyncDisposable {
  /** As {@link syncAt} and {@link storeAt} take it. */
  readonly url: string;
  readonly port: number;
  kill(): Promise<void>;
  start(): Promise<void>;
  /** Whether it has records whose keys begin with `key/`, by a tool other than the store. */
  hasKeys(): Promise<boolean>;
  /** How long it may keep records that have expired, in milliseconds. */
  readonly keepsExpiredMs: number;
}

/** Scenarios share their process and the machine, so that responses may take long. */
const timeoutMs = 20_000;

export type StartCoordinationServer = () => Promise<CoordinationServer>;

/** The URL of a server that is reached through another port. */
export function through(server: CoordinationServer, port: number): string {
  return server.url.replace(/:\d+$/, `:${port}`);
}

/** A sync at `nats://127.0.0.1:port` or `etcd://127.0.0.1:port`. */
export function syncAt(url: string): Sync {
  const { scheme, server } = parse(url);
  return scheme === "etcd"
    ? etcdSync({ endpoints: server, timeoutMs })
    : natsSync({ servers: url });
}

/** A store, as {@link syncAt}. */
export function storeAt(url: string): Store {
  const { scheme, server } = parse(url);
  return scheme === "etcd"
    ? etcdStore({ endpoints: server, timeoutMs })
    : natsStore({ servers: url });
}

function parse(url: string): { readonly scheme: string; readonly server: string } {
  const [scheme = "", server = ""] = url.split("://");
  return { scheme, server };
}
