import { createHash } from "node:crypto";
import { messageOf } from "../base/error.ts";
import type { Logger } from "../base/logger.ts";
import { Bucket } from "../base/rate-limit.ts";
import type { Account } from "../call/account.ts";
import type { Peer } from "../call/call.ts";

/** What happened, for the audit trail. */
export interface AuditEntry {
  readonly event: "refused" | "granted" | "revoked" | "issued" | "rotated";
  readonly reason?: string;
  /** Id of the rule that decided. */
  readonly rule?: string;
  /** Full name of the method or topic. */
  readonly resource?: string;
  readonly account?: Pick<Account, "id" | "issuer" | "claims">;
  readonly peer?: Peer;
}

/** Writes audit entries. A token never gets into one, and an account only by its id and issuer. */
export interface AuditTrail {
  write(entry: AuditEntry): void;
}

const linesPerSecond = 100;

/**
 * Writes the audit trail to a logger: refusals as warnings, everything else as information. Of more
 * than 100 entries a second the rest is counted.
 */
export class LoggedAudit implements AuditTrail {
  readonly #logger: Logger;
  readonly #lines = new Bucket({
    what: "audit lines",
    burst: linesPerSecond,
    perSecond: linesPerSecond,
  });
  #unwritten = 0;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  write(entry: AuditEntry): void {
    if (!this.#lines.take()) {
      this.#unwritten++;
      return;
    }
    const unwritten = this.#unwritten;
    this.#unwritten = 0;
    const { event, reason, rule, resource, account, peer } = entry;
    const fields = {
      audit: event,
      ...(reason !== undefined && { reason }),
      ...(rule !== undefined && { rule }),
      ...(resource !== undefined && { resource }),
      ...(account !== undefined && {
        account: account.id,
        issuer: account.issuer,
        ...tokenId(account),
      }),
      ...(peer !== undefined && { peer: peer.address }),
      ...(unwritten > 0 && { unwritten }),
    };
    try {
      this.#logger[event === "refused" ? "warn" : "info"](fields, `access: ${event}`);
    } catch (failure) {
      process.emitWarning(`the logger threw at an audit entry: ${messageOf(failure)}`);
    }
  }
}

/** Enough of a token's id to find it again, without the id itself. */
function tokenId({ claims }: Pick<Account, "claims">): { readonly token?: string } {
  const { jti } = claims;
  if (typeof jti !== "string") return {};
  return { token: createHash("sha256").update(jti).digest("hex").slice(0, 12) };
}
