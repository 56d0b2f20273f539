import type { ConfigSource, Registry, Sync } from "@micro-es/runtime";
import type { Records } from "../coordination/server.ts";

/** Servers that agree on what they store, into which faults are injected. */
export interface Cluster extends AsyncDisposable {
  /** Three; our parts use the first of them before the others, where they choose. */
  readonly members: readonly Member[];
  /** The member that leads; undefined while none does. */
  leader(): Promise<Member | undefined>;
  /** The parts of a process, with the driver's own timeouts. */
  registry(): Registry;
  sync(): Sync;
  records(): Records;
  source(): ConfigSource;
  /** Sets the value `count` of the configuration, past the driver. */
  setCount(count: number): Promise<void>;
}

export interface Member {
  /** SIGKILL. */
  stop(): Promise<void>;
  /** Resolves when it has a leader again. */
  start(): Promise<void>;
  signal(name: "SIGSTOP" | "SIGCONT"): void;
}

export type StartCluster = () => Promise<Cluster>;
