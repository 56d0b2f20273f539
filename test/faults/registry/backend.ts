import type { Registry } from "@micro-es/runtime";
import type { Program } from "../../support/argument-program.ts";

/** The server of a registry, into which faults are injected. */
export interface RegistryServer extends AsyncDisposable {
  readonly port: number;
  /** A registry on it. @param port its port, if not reached directly. */
  connect(port?: number): Registry;
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
  /** Compacts the history of changes up to now, if there is one. */
  compact?(): Promise<void>;
}

/** Writes records of the service `work`. */
export interface RecordWriter extends AsyncDisposable {
  put(id: string, revision: number): Promise<void>;
  delete(id: string): Promise<void>;
}

export type StartRegistryServer = () => Promise<RegistryServer>;
