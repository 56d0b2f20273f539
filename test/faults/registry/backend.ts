import type { Registry } from "@micro-es/runtime";
import type { Program } from "../../support/argument-program.ts";

/** The server of a registry, into which faults are injected. */
export interface RegistryServer extends AsyncDisposable {
  readonly port: number;
  /** Of all members, where it is a cluster. */
  readonly ports?: readonly number[];
  /** A registry on it. @param ports its ports, if not reached directly. */
  connect(...ports: readonly number[]): Registry;
  /** Registers nodes of the service `work` in a separate process; `who` is in their metadata. */
  startNodes(ids: readonly string[], options: { who: string; ttlMs: number }): Promise<Program>;
  /**
   * A way to write records without the registry, many times as fast as processes could register.
   */
  writer(): Promise<RecordWriter>;
  kill(): Promise<void>;
  start(): Promise<void>;
  /** Removes its data while it is stopped. Absent if no recipe needs it. */
  wipe?(): void;
  /** Ends what watches would continue with; clients may be refused meanwhile. */
  cutHistory?(): Promise<void>;
  /** What {@link cutHistory} does: "the history compacted". */
  readonly howHistoryIsCut?: string;
  /** How long watchers may take to notice a connection that is open and silent, in milliseconds. */
  readonly noticesWithinMs?: number;
}

/** Writes records of the service `work`. */
export interface RecordWriter extends AsyncDisposable {
  put(id: string, revision: number): Promise<void>;
  delete(id: string): Promise<void>;
}

export type StartRegistryServer = () => Promise<RegistryServer>;
