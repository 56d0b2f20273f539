import { randomUUID } from "node:crypto";
import { untilAborted } from "../base/abort.ts";
import type { Logger } from "../base/logger.ts";
import type { Node, Registration, Registry } from "../registry/registry.ts";
import type { ClosingParts } from "./closing-parts.ts";
import { describe } from "./handler-errors.ts";
import { registerAll } from "./register-nodes.ts";
import { Reregistration } from "./reregistration.ts";

/** Delay before retrying a failed registration under a new id, in milliseconds. */
const registerAgainMs = 5_000;

/** The server whose nodes are registered. */
export interface RegisteredServer {
  readonly name: string;
  readonly registry: Registry;
  readonly ttlMs: number | undefined;
  readonly logger: Logger;
  readonly closing: ClosingParts;
  /** Aborts when the server leaves the registry: then nothing is registered again. */
  readonly leaving: AbortSignal;
  /** The parts from generated code, which report the schemas they were built with. */
  readonly builtWith: readonly object[];
  /** The nodes of the server under an id, with their current data. */
  nodes(id: string): readonly Node[];
}

/**
 * The registrations of a server's nodes. They are renewed when the server's data changes, and under
 * a new id after another process has registered theirs.
 */
export class ServerRegistration {
  readonly #server: RegisteredServer;
  #id: string;
  #registeredAs: string | undefined;
  #registrations: readonly Registration[] = [];
  #renewal: Reregistration | undefined;

  constructor(id: string, server: RegisteredServer) {
    this.#id = id;
    this.#server = server;
  }

  /** Whether any node is registered. */
  get isActive(): boolean {
    return this.#registrations.length > 0;
  }

  /** Registers the nodes, unless the signal aborts; registrations after that are closed. */
  async begin(signal: AbortSignal): Promise<void> {
    this.#registrations = await untilAborted(this.#register(signal), signal, {
      late: (registered) => this.#deregister(registered),
    });
    this.#renewal = new Reregistration(this.#server.builtWith, () => this.#renew());
    if (this.#registeredAs !== this.#id) this.#renewal.request();
  }

  /** Stops renewing. Resolves when no renewal is in progress. */
  stop(): Promise<void> {
    return this.#renewal?.stop() ?? Promise.resolve();
  }

  /** Deregisters the nodes. */
  close(): Promise<void> {
    return this.#deregister(this.#registrations);
  }

  async #register(signal: AbortSignal): Promise<readonly Registration[]> {
    const { registry, ttlMs, logger } = this.#server;
    const id = this.#id;
    const onTakenOver = () => this.#onTakenOver(id);
    const options = { ...(ttlMs === undefined ? {} : { ttlMs }), signal, onTakenOver };
    const registered = await registerAll(registry, this.#server.nodes(id), options, logger);
    this.#registeredAs = id;
    return registered;
  }

  #deregister(registrations: readonly Registration[]): Promise<void> {
    return this.#server.closing.endAll("deregister", registrations, (it) => it.close());
  }

  /**
   * Another process has registered a node under this server's id, by mistake or to receive its
   * calls.
   */
  #onTakenOver(id: string): void {
    // All nodes of a server share its id, and each may report this.
    if (id !== this.#id) return;
    this.#id = randomUUID();
    this.#server.logger.error(
      { service: this.#server.name, id, newId: this.#id },
      "another process has registered this server's id; it is registered again under a new one",
    );
    this.#renewal?.request();
  }

  /**
   * Registers the same nodes with their current data. A server that leaves in the meantime stays
   * deregistered.
   */
  async #renew(): Promise<void> {
    const { leaving, logger, name, closing } = this.#server;
    if (leaving.aborted) return;
    const before = this.#registrations;
    try {
      const renewed = await this.#register(leaving);
      if (leaving.aborted) {
        await this.#deregister(renewed);
        return;
      }
      this.#registrations = renewed;
    } catch (error) {
      if (leaving.aborted) return;
      logger.warn(
        { service: name, error: describe(error) },
        "cannot update the service in the registry",
      );
      if (this.#registeredAs !== this.#id) this.#renewal?.request(registerAgainMs);
      return;
    }
    await closing.endAll("replace the record of", before, (it) => it.close());
  }
}
