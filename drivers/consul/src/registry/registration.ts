import { MicroError } from "@micro-es/runtime";
import { type RegistrationClaim, RenewedRegistration } from "@micro-es/runtime/driver";
import { isObject, parse } from "../link/json.ts";
import type { ConsulLink } from "../link/link.ts";
import { type Reading, readService } from "./reading.ts";
import { checkIdOf, encodeRegistration, serviceIdOf } from "./record.ts";

/** How long one query waits for the catalog to list a node. */
const catalogWaitMs = 1_000;

/** Takes readings of a node's service. */
export interface ReadingTaker {
  accept(reading: Reading): void;
}

/**
 * A node as a service of the agent, with a check of its own. A registration of the id by another
 * process replaces the check, so the next renewal fails.
 */
export class ConsulRegistration extends RenewedRegistration {
  readonly #link: ConsulLink;
  readonly #taker: () => ReadingTaker | undefined;
  readonly #serviceId: string;
  readonly #checkPath: string;
  readonly #body: object;

  /** @param taker undefined while nothing in this process needs the node's service. */
  constructor(claim: RegistrationClaim, link: ConsulLink, taker: () => ReadingTaker | undefined) {
    super(link, claim);
    const { node, ttlMs } = claim;
    this.#link = link;
    this.#taker = taker;
    this.#serviceId = serviceIdOf(node.id);
    this.#checkPath = `agent/check/pass/${encodeURIComponent(checkIdOf(node.id, this.owner))}`;
    this.#body = encodeRegistration({ node, ttlMs, owner: this.owner });
  }

  /** Not cancelled: a registration that arrives after the deregistration would stay. */
  protected override async write(): Promise<void> {
    const asked = performance.now();
    await this.#link.call(
      {
        method: "PUT",
        path: "agent/service/register",
        // Without the check of a previous owner, who learns from that.
        query: { "replace-existing-checks": "true" },
        body: this.#body,
      },
      this.what,
    );
    this.renewed(asked);
  }

  /** The agent hands the node to its servers after it has responded. */
  protected override async written(signal: AbortSignal): Promise<void> {
    const link = this.#link;
    const { service } = this.node;
    const until = performance.now() + link.timeoutMs;
    for (let after = 0; ; ) {
      const taker = this.#taker();
      const id = taker === undefined ? { id: this.#serviceId } : {};
      const leftMs = until - performance.now();
      const waitMs = Math.max(Math.min(leftMs, catalogWaitMs), 1);
      const reading = await readService(link, service, {
        after,
        waitMs,
        isLocal: true,
        signal,
        ...id,
      });
      if (link.datacenter === undefined) taker?.accept(reading);
      if (reading.instances.some(({ service }) => service.meta.micro_owner === this.owner)) return;
      if (this.isOver) return;
      after = reading.index;
      if (leftMs > 0) continue;
      throw new MicroError(
        "unavailable",
        `cannot ${this.what}: its agent did not hand it to Consul's servers within ${link.timeoutMs} ms, or the token may not read it (service and node)`,
      );
    }
  }

  /**
   * Registers again unless another owner has the id. Consul cannot do both in one step, so an owner
   * that registers in between is replaced; it finds its check gone.
   */
  protected override async renew(signal: AbortSignal): Promise<void> {
    if (await this.#pass(signal)) return;
    const owner = await this.#findOwner(signal);
    if (this.isOver) return;
    if (owner === undefined || owner === this.owner) await this.write();
    else this.lose();
  }

  protected override async withdraw(): Promise<void> {
    if (this.isTakenOver) return;
    if ((await this.#findOwner()) !== this.owner || this.isTakenOver) return;
    await this.#link.call(
      {
        method: "PUT",
        path: `agent/service/deregister/${encodeURIComponent(this.#serviceId)}`,
        accepts: (status) => status === 404,
      },
      `deregister ${this.node.id}`,
    );
  }

  /** Renews the check; false when the agent has none of ours. */
  async #pass(signal: AbortSignal): Promise<boolean> {
    const asked = performance.now();
    const { status } = await this.#link.call(
      { method: "PUT", path: this.#checkPath, accepts: isUnknownCheck },
      `renew ${this.node.id}`,
      signal,
    );
    if (status !== 200) return false;
    this.renewed(asked);
    return true;
  }

  /** The owner of the id at this agent; undefined if it is free. */
  async #findOwner(signal?: AbortSignal): Promise<string | undefined> {
    const { status, text } = await this.#link.call(
      {
        path: `agent/service/${encodeURIComponent(this.#serviceId)}`,
        accepts: (status) => status === 404,
      },
      `find the owner of ${this.node.id}`,
      signal,
    );
    if (status === 404) return undefined;
    const service = parse(text);
    const meta = isObject(service) && isObject(service.Meta) ? service.Meta : {};
    return typeof meta.micro_owner === "string" ? meta.micro_owner : "";
  }
}

/** Consul 1.8 responds 500 to the renewal of a check that it does not have, later versions 404. */
function isUnknownCheck(status: number, text: string): boolean {
  return (
    status === 404 || (status === 500 && /does not have associated TTL|unknown check/i.test(text))
  );
}
