import { asMicroError } from "@micro-es/runtime";
import { type RegistrationClaim, RenewedRegistration } from "@micro-es/runtime/driver";
import { responseFailure } from "../link/failure.ts";
import type { ZooKeeperLink } from "../link/link.ts";
import { ensurePath, orAbsent } from "../link/tree.ts";
import { type Acl, create, getData, remove, type Stat, transaction } from "../wire/operations.ts";
import { decodeRecord, encodeRecord, pathOf, serviceRoot } from "./record.ts";

/** All sessions of an ensemble may have ended together. */
const missingSpreadMs = 100;
/** How often a write is tried while other processes change the same znode. */
const maxAttempts = 10;

/** Where a registration is stored. */
export interface RegistrationPlace {
  /** The session that the znode ends with. */
  readonly link: ZooKeeperLink;
  readonly root: string;
  readonly acl: readonly Acl[];
  /** Makes a service that this registry follows read a znode. */
  readonly refresh: (service: string, path: string) => Promise<void>;
}

interface Found {
  readonly data: Uint8Array;
  readonly stat: Stat;
}

/** A node's znode, which ends with a session whose timeout is the node's ttl. */
export class ZooKeeperRegistration extends RenewedRegistration {
  readonly #place: RegistrationPlace;
  readonly #claim: RegistrationClaim;
  readonly #path: string;
  readonly #record: Uint8Array;
  #stopWatching: (() => void) | undefined;

  constructor(claim: RegistrationClaim, place: RegistrationPlace) {
    super(place.link, claim);
    this.#claim = claim;
    this.#place = place;
    this.#path = pathOf(place.root, claim.node);
    this.#record = encodeRecord({ node: claim.node, ttlMs: claim.ttlMs, owner: this.owner });
  }

  protected override async write(): Promise<void> {
    // Repeated after a lost response, because a record that is already ours stays.
    for (let attempt = 1; !this.isOver; attempt++) {
      const asked = performance.now();
      try {
        const found = await this.#read();
        if (!this.isOver && !this.#isCurrent(found)) await this.#replace(found);
        this.#renewed(asked);
        await this.#place.refresh(this.node.service, this.#path);
        return;
      } catch (error) {
        if (attempt >= maxAttempts || !(await this.#isWorthAnother(error))) throw error;
      }
    }
  }

  protected override async written(): Promise<void> {
    const { link } = this.#place;
    if (link.sessionTimeoutMs > this.ttlMs) {
      this.#claim.logger.info(
        { node: this.node.id, ttlMs: this.ttlMs, grantedMs: link.sessionTimeoutMs },
        "ZooKeeper keeps the node for longer than its ttl if its process dies; lower tickTime or minSessionTimeout",
      );
    }
    this.#stopWatching = link.watches.watch(this.#path, false, () =>
      this.renewSoon(Math.random() * missingSpreadMs),
    );
  }

  protected override ending(): void {
    this.#stopWatching?.();
  }

  protected override async renew(): Promise<void> {
    const asked = performance.now();
    const found = await this.#read();
    if (this.isOver) return;
    if (found !== undefined && !this.#isOurs(found.data)) {
      this.lose();
      return;
    }
    // Ours may belong to a session that has expired, and be deleted with it.
    if (!this.#isCurrent(found)) await this.#replace(found);
    this.#renewed(asked);
  }

  protected override async withdraw(): Promise<void> {
    const found = await this.#read();
    if (found === undefined || !this.#isOurs(found.data)) return;
    const removal = remove(this.#path, found.stat.version);
    await orAbsent(this.#place.link.call(removal, `deregister ${this.node.id}`));
  }

  #renewed(asked: number): void {
    this.renewed(asked, this.#place.link.sessionTimeoutMs);
  }

  #read(): Promise<Found | undefined> {
    return orAbsent(this.#place.link.call(getData(this.#path), this.what));
  }

  /** Whether the znode is this record in the present session. */
  #isCurrent(found: Found | undefined): boolean {
    const { link } = this.#place;
    return found?.stat.ephemeralOwner === link.sessionId && this.#isWritten(found.data);
  }

  #isWritten(data: Uint8Array): boolean {
    return Buffer.compare(data, this.#record) === 0;
  }

  /**
   * Writes the record in place of what was found. go-micro sees only which znodes there are, so it
   * is a deletion and a creation in one transaction.
   * @throws MicroError `aborted` or `already_exists` when another process was faster.
   */
  async #replace(found: Found | undefined): Promise<void> {
    const { link, root, acl } = this.#place;
    const creation = create({ path: this.#path, data: this.#record, acl, isEphemeral: true });
    if (found !== undefined) {
      const replacement = transaction([remove(this.#path, found.stat.version), creation]);
      const failed = (await link.call(replacement, this.what)).find(
        // Operations that follow the failed one have an error of their own.
        ({ err }) => err !== 0 && err !== -2,
      );
      if (failed !== undefined) throw responseFailure(failed.err, this.#path);
      return;
    }
    try {
      await link.call(creation, this.what);
    } catch (error) {
      if (asMicroError(error).code !== "not_found") throw error;
      await ensurePath(link, serviceRoot(root, this.node.service), acl, this.what);
      await link.call(creation, this.what);
    }
  }

  /** Waits for another connection where the last one ended. */
  async #isWorthAnother(error: unknown): Promise<boolean> {
    const { code } = asMicroError(error);
    const { link } = this.#place;
    if (code === "aborted" || code === "already_exists" || code === "not_found") return true;
    if (code !== "unavailable" && code !== "deadline_exceeded") return false;
    if (link.connected) return false;
    await link.untilConnected(AbortSignal.timeout(link.timeoutMs));
    return link.connected;
  }

  #isOurs(data: Uint8Array): boolean {
    try {
      return decodeRecord(this.#place.root, this.#path, data).owner === this.owner;
    } catch {
      // Not a record, so no other registration has taken the id over.
      return true;
    }
  }
}
