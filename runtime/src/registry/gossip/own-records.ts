import { Closable } from "../../base/closable.ts";
import { MicroError } from "../../base/error.ts";
import type { Logger } from "../../base/logger.ts";
import type { Node, Registration } from "../registry.ts";
import type { GossipMember } from "./gossip-member.ts";
import { encodeRecord, keyOf } from "./node-record.ts";
import type { NodeView, OwnedRecord } from "./node-view.ts";

/**
 * How long a record that another process replaced is still published, in milliseconds: others may
 * learn of its end before they know its successor, and would see the node disappear.
 */
const yieldMs = 1_000;

interface OwnRecord {
  readonly key: string;
  readonly node: Node;
  readonly revision: number;
  readonly onTakenOver: (() => void) | undefined;
}

/** The nodes that this process registered. */
export class OwnRecords {
  readonly #view: NodeView;
  readonly #logger: Logger;
  readonly #records = new Map<string, OwnRecord>();
  readonly #yielded = new Map<string, NodeJS.Timeout>();
  #member: GossipMember | undefined;
  #lastRevision = 0;

  constructor(view: NodeView, logger: Logger) {
    this.#view = view;
    this.#logger = logger;
  }

  get size(): number {
    return this.#records.size;
  }

  /** @throws MicroError `resource_exhausted` when the records of this process become too large. */
  add(member: GossipMember, node: Node, onTakenOver: (() => void) | undefined): Registration {
    this.#member = member;
    const key = keyOf(node);
    const known = this.#view.best(member.records, key)?.revision ?? 0;
    const revision = Math.max(Date.now(), this.#lastRevision + 1, known + 1);
    const record: OwnRecord = { key, node, revision, onTakenOver };
    if (!member.write(key, encodeRecord({ revision, node }))) {
      throw new MicroError(
        "resource_exhausted",
        `cannot register ${node.id}: a process publishes at most 4096 records and 1 MiB by gossip`,
        { outcome: "not-executed" },
      );
    }
    this.#lastRevision = revision;
    clearTimeout(this.#yielded.get(key));
    this.#yielded.delete(key);
    this.#records.set(key, record);
    return new GossipRegistration(
      node,
      () => this.#records.get(key) === record,
      () => this.#remove(record),
    );
  }

  /** Gives up an id that another process has registered later. */
  yieldTo({ node, revision, owner }: OwnedRecord): void {
    const key = keyOf(node);
    const record = this.#records.get(key);
    if (record === undefined || record.revision > revision) return;
    this.#records.delete(key);
    const timer = setTimeout(() => {
      this.#yielded.delete(key);
      this.#member?.write(key, undefined);
    }, yieldMs);
    timer.unref();
    this.#yielded.set(key, timer);
    this.#logger.error(
      { service: node.service, id: node.id, owner },
      "another process has registered the id of this node; it is theirs now",
    );
    record.onTakenOver?.();
  }

  /** Ends all registrations; leaving the cluster removes their nodes. */
  end(): void {
    for (const timer of this.#yielded.values()) clearTimeout(timer);
    this.#yielded.clear();
    this.#records.clear();
  }

  #remove(record: OwnRecord): void {
    if (this.#records.get(record.key) !== record) return;
    this.#records.delete(record.key);
    this.#member?.write(record.key, undefined);
  }
}

class GossipRegistration extends Closable implements Registration {
  readonly node: Node;
  readonly #isActive: () => boolean;
  readonly #end: () => void;

  constructor(node: Node, isActive: () => boolean, end: () => void) {
    super();
    this.node = node;
    this.#isActive = isActive;
    this.#end = end;
  }

  get active(): boolean {
    return this.#isActive();
  }

  protected override async closeOnce(): Promise<void> {
    this.#end();
  }
}
