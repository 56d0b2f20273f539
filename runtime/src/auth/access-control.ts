import { Closable } from "../base/closable.ts";
import { hasPassed } from "../base/deadline.ts";
import { asMicroError, MicroError, messageOf } from "../base/error.ts";
import type { Logger } from "../base/logger.ts";
import type { Account, Credential, Identity } from "../call/account.ts";
import type { Awaitable, Peer, ServerCall } from "../call/call.ts";
import type { AnyMethod } from "../call/method.ts";
import type { CallAccess } from "../transport/transport.ts";
import { LoggedAudit } from "./audit.ts";
import type { Auth, Authorizer, Decision, Rules } from "./auth.ts";
import { DebugToken } from "./debug-token.ts";
import { decide, type Unspecified } from "./decide.ts";
import { IdentityCache, inspectMs } from "./identity-cache.ts";
import { refusal, refusedFor } from "./refusals.ts";
import { VerifiedIdentity } from "./verified-identity.ts";
import { within } from "./within.ts";

/** What decides about callers in addition to the schema. */
export interface AccessOptions {
  /** Refuse what the schema allows, and grant what it leaves open. Default: none. */
  readonly rules?: Rules;
  /** Other policy engines, asked in this order; each may only refuse. Default: none. */
  readonly authorizers?: readonly Authorizer[];
  /**
   * Who may call a method about which neither the schema nor a rule says anything: no caller, or
   * every account. Default `denied`.
   */
  readonly unspecified?: Unspecified;
}

/** Options of an {@link AccessControl}. */
export interface AccessControlOptions extends AccessOptions {
  readonly auth: Auth;
  /** A token that opens the methods of the debug service, and nothing else. */
  readonly debugToken?: string | undefined;
  readonly logger: Logger;
}

/** The longest time that an authorizer may take, in milliseconds. */
const authorizerMs = 5_000;
/** How often open streams are checked for credentials that have ended, in milliseconds. */
const sweepMs = 1_000;
/** How long an open stream outlives the credential of its caller, in milliseconds. */
const streamGraceMs = 60_000;

/**
 * Decides who may call the methods of a server: verifies credentials, applies schema, rules and
 * authorizers, and ends open streams when their callers lose access.
 */
export class AccessControl extends Closable implements CallAccess {
  readonly #auth: Auth;
  readonly #rules: Rules | undefined;
  readonly #authorizers: readonly Authorizer[];
  readonly #unspecified: Unspecified;
  readonly #logger: Logger;
  readonly #audit: LoggedAudit;
  readonly #identities: IdentityCache;
  readonly #debugToken: DebugToken | undefined;
  /** Identities of connections by their certificate. */
  readonly #certified = new WeakMap<Peer, Awaitable<Identity | undefined>>();
  readonly #streams = new Set<ServerCall>();
  readonly #stopWatching: (() => void)[] = [];
  #sweep: NodeJS.Timeout | undefined;
  /** Increases with the version of the rules. */
  #version = 0;
  #sweptVersion = 0;

  constructor(options: AccessControlOptions) {
    super();
    const { auth, rules, logger } = options;
    this.#auth = auth;
    this.#rules = rules;
    this.#authorizers = options.authorizers ?? [];
    this.#unspecified = options.unspecified ?? "denied";
    this.#logger = logger;
    this.#audit = new LoggedAudit(logger);
    this.#identities = new IdentityCache((credential, peer) => auth.inspect(credential, peer));
    const { debugToken } = options;
    this.#debugToken = debugToken === undefined ? undefined : new DebugToken(debugToken);
    const revoked = auth.onRevoked?.((hasEnded) => this.#revoked(hasEnded));
    const changed = rules?.onChange(() => this.#rulesChanged());
    for (const stop of [revoked, changed]) if (stop !== undefined) this.#stopWatching.push(stop);
  }

  /** Loads keys and rules. @throws MicroError if auth or rules were closed. */
  async open(): Promise<void> {
    await Promise.all([this.#auth.open?.(), this.#rules?.open?.()]);
    this.#version++;
  }

  identify(credential: Credential | undefined, peer: Peer): Awaitable<Identity | undefined> {
    if (credential === undefined) return this.#identifyPeer(peer);
    if (this.#debugToken?.is(credential) === true) return this.#debugToken.identity;
    try {
      const identity = this.#identities.get(credential, peer);
      if (!(identity instanceof Promise)) return this.#present(identity, peer);
      return identity.then(
        (found) => this.#present(found, peer),
        (reason) => this.#refuseCredential(reason, peer),
      );
    } catch (reason) {
      return this.#refuseCredential(reason, peer);
    }
  }

  admit(method: AnyMethod, identity: Identity | undefined, peer: Peer): Awaitable<void> {
    const decision = this.#decide(method, identity);
    if (!decision.allowed) this.#refuse(decision, method, identity?.account, peer);
    if (this.#authorizers.length > 0) return this.#askAuthorizers(method, identity, peer);
  }

  mayKnow(method: AnyMethod, identity: Identity | undefined): boolean {
    return identity !== undefined && this.#decide(method, identity).allowed;
  }

  opened(call: ServerCall): void {
    this.#streams.add(call);
    if (this.#sweep !== undefined) return;
    this.#sweep = setInterval(() => this.#endExpired(), sweepMs);
    this.#sweep.unref();
  }

  closed(call: ServerCall): void {
    this.#streams.delete(call);
    if (this.#streams.size === 0) this.#endSweep();
  }

  protected async closeOnce(): Promise<void> {
    this.#endSweep();
    for (const stop of this.#stopWatching) stop();
    this.#streams.clear();
    this.#identities.clear();
  }

  #identifyPeer(peer: Peer): Awaitable<Identity | undefined> {
    if (peer.certificate === undefined) return undefined;
    let identity = this.#certified.get(peer);
    if (identity === undefined) {
      const inspecting = this.#inspectPeer(peer);
      identity = inspecting;
      this.#certified.set(peer, identity);
      // A failure, such as that of a bundle that is not known yet, may pass.
      inspecting.catch(() => this.#certified.delete(peer));
    }
    return identity;
  }

  async #inspectPeer(peer: Peer): Promise<Identity | undefined> {
    try {
      const account = await within(inspectMs, this.#auth.inspect(undefined, peer));
      if (account === undefined) return undefined;
      const identity = this.#identities.adopt(account);
      this.#certified.set(peer, identity);
      return identity;
    } catch (reason) {
      return this.#refuseCredential(reason, peer);
    }
  }

  /** A credential that this server cannot verify is not valid, also for a public method. */
  #present(identity: VerifiedIdentity | undefined, peer: Peer): VerifiedIdentity {
    if (identity !== undefined) return identity;
    this.#audit.write({ event: "refused", reason: "no auth verifies such a credential", peer });
    throw refusal("unauthenticated");
  }

  #refuseCredential(reason: unknown, peer: Peer): never {
    const error = asMicroError(reason, "internal");
    this.#audit.write({ event: "refused", reason: error.message, peer });
    if (error.code === "unauthenticated") throw refusal("unauthenticated");
    if (error.code === "resource_exhausted" || error.code === "unavailable") {
      throw refusedFor(error.code, "credentials cannot be verified at the moment");
    }
    this.#logger.error({ error: messageOf(reason) }, "a credential could not be verified");
    throw new MicroError("internal", "credentials cannot be verified", { outcome: "not-executed" });
  }

  #decide(method: AnyMethod, identity: Identity | undefined): Decision {
    if (!(identity instanceof VerifiedIdentity)) return this.#make(method, identity?.account);
    if (identity.ended !== undefined) return ended(identity.ended.message);
    if (hasPassed(identity.validUntil)) return ended("the credential has expired");
    return (
      identity.decision(method, this.#version) ??
      identity.decided(method, this.#version, this.#make(method, identity.account))
    );
  }

  #make(method: AnyMethod, account: Account | undefined): Decision {
    if (account !== undefined && account === this.#debugToken?.identity.account) {
      return DebugToken.decide(method);
    }
    return decide(method, account, this.#rules, this.#unspecified);
  }

  #refuse(
    decision: Decision & { allowed: false },
    { name }: AnyMethod,
    account: Account | undefined,
    peer: Peer,
  ): never {
    const { code, reason, rule } = decision;
    this.#audit.write({
      event: "refused",
      reason,
      resource: name,
      peer,
      ...(rule !== undefined && { rule }),
      ...(account !== undefined && { account }),
    });
    throw refusal(code);
  }

  async #askAuthorizers(
    method: AnyMethod,
    identity: Identity | undefined,
    peer: Peer,
  ): Promise<void> {
    const account = identity?.account;
    const resource = { type: "method", name: method.name } as const;
    for (const authorizer of this.#authorizers) {
      let decision: Decision;
      try {
        decision = await within(
          authorizerMs,
          authorizer.authorize({ account, resource, method, peer }),
        );
      } catch (reason) {
        const text = `the authorizer ${authorizer.name} failed: ${messageOf(reason)}`;
        decision = { allowed: false, code: "permission_denied", reason: text };
      }
      if (!decision.allowed) this.#refuse(decision, method, account, peer);
    }
    // A revocation in the meantime counts.
    const again = this.#decide(method, identity);
    if (!again.allowed) this.#refuse(again, method, account, peer);
  }

  #revoked(hasEnded: (account: Account) => boolean): void {
    const reason = refusal("unauthenticated");
    for (const identity of this.#identities.all()) {
      if (identity.ended === undefined && hasEnded(identity.account)) identity.ended = reason;
    }
    this.#recheckStreams();
  }

  #rulesChanged(): void {
    this.#version++;
    this.#recheckStreams();
  }

  /** Ends streams whose callers have lost access, after a revocation or a change of the rules. */
  #recheckStreams(): void {
    for (const call of this.#streams) {
      const decision = lostCredential(call) ?? this.#make(call.method, call.account);
      if (!decision.allowed) this.#endStream(call, decision);
    }
  }

  #endExpired(): void {
    // A stream that was being admitted during the change of the rules is among the open ones now.
    if (this.#version !== this.#sweptVersion) this.#recheckStreams();
    this.#sweptVersion = this.#version;
    for (const call of this.#streams) {
      const lost = lostCredential(call);
      if (lost !== undefined) this.#endStream(call, lost);
    }
  }

  #endStream(call: ServerCall, decision: Decision & { allowed: false }): void {
    this.closed(call);
    try {
      this.#refuse(decision, call.method, call.account, call.peer);
    } catch (reason) {
      const { code, message } = asMicroError(reason);
      // The handler has run.
      call.refuse(new MicroError(code, message, { outcome: "unknown" }));
    }
  }

  #endSweep(): void {
    clearInterval(this.#sweep);
    this.#sweep = undefined;
  }
}

/**
 * Why the credential of an open stream no longer counts; undefined if it does. After its end, the
 * caller has time to present another one.
 */
function lostCredential({ identity }: ServerCall): (Decision & { allowed: false }) | undefined {
  if (identity === undefined) return undefined;
  if (identity.ended !== undefined) return ended(identity.ended.message);
  if (!hasPassed(identity.validUntil + streamGraceMs)) return undefined;
  return ended("the credential of an open stream has expired");
}

function ended(reason: string): Decision & { allowed: false } {
  return { allowed: false, code: "unauthenticated", reason };
}
