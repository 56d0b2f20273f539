import type { Backend } from "../base/backend-state.ts";
import type { MicroError } from "../base/error.ts";
import type { BackendLink } from "../base/linked-part.ts";
import type { Logger } from "../base/logger.ts";
import type { Node, RegistryGuarantees } from "./registry.ts";
import type { RegistrationClaim, RenewedRegistration } from "./renewed-registration.ts";

/** The contents of a node's record. */
export interface NodeRecord {
  readonly node: Node;
  readonly ttlMs: number;
  /** Distinguishes registrations of the same id; empty in records that are not ours. */
  readonly owner: string;
}

/** A record as a backend stores it, whoever wrote it. */
export interface StoredNode {
  /** Where it is stored; unique within its service. */
  readonly key: string;
  /** How long ago it was written, in milliseconds; for backends whose records readers expire. */
  readonly ageMs?: number;
  /**
   * Parses it; undefined if it is not meant as a node.
   * @throws Error when it should be a node, and is not a valid one.
   */
  readonly decode: () => NodeRecord | undefined;
}

/** Receives the records of a service. */
export interface NodeFollower {
  /**
   * All records at a position. It comes first, and again whenever changes may have been missed. Of
   * two records of one node, the later one counts.
   * @param isCut whether there are more than were read.
   */
  snapshot(records: readonly StoredNode[], isCut?: boolean): void;
  /**
   * A record was written.
   * @returns false if it is ignored because the service has too many nodes.
   */
  put(record: StoredNode): boolean;
  /** A record was deleted, or its node is dead. */
  delete(key: string): void;
  /** The records cannot be read now; it is retried. */
  failed(reason: MicroError): void;
  /**
   * Reports a gap in which records may have ended because they could not be renewed, before the
   * changes made meanwhile.
   * @param gapMs its length in milliseconds. Default: long enough.
   */
  resumed(gapMs?: number): void;
}

/** A service that is being followed. */
export interface Following {
  /** Whether the last records that were read are current, as far as can be known. */
  readonly isCurrent: boolean;
  close(): void | Promise<void>;
}

/** What a backend must provide for a registry. */
export interface NodeBackend extends Omit<Backend, "close" | keyof AsyncDisposable> {
  readonly link: BackendLink;
  /** Default: leases in the backend, seen by all processes that share it. */
  readonly guarantees?: RegistryGuarantees;
  /**
   * Who ends the records of dead nodes: the backend, or each process that follows them, by the ttl
   * since the last write.
   */
  readonly expiry: "backend" | "reader";
  /** Names the attempted operation in a failure of the backend. */
  readonly failure: (error: unknown, what: string) => MicroError;
  /** Follows the records of a service. The follower is told nothing before this returns. */
  follow(service: string, follower: NodeFollower, logger: Logger): Following;
  /** The names of the services that have a node, in any order, whoever registered them. */
  names(what: string, signal: AbortSignal | undefined): Promise<Iterable<string>>;
  /** Makes a registration that has not begun. */
  registration(claim: RegistrationClaim): RenewedRegistration;
  close(): Promise<void>;
}
