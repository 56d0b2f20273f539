import { type BackendState, BackendStatus, type StateListener } from "../../base/backend-state.ts";
import { Closable } from "../../base/closable.ts";
import { MicroError } from "../../base/error.ts";
import type { Logger } from "../../base/logger.ts";
import { checkOption, listOf, part } from "../../base/option-check.ts";
import { shareLogger } from "../../base/part-logger.ts";
import { closeInOrder } from "../../base/settle-all.ts";
import type { Account, Credential } from "../../call/account.ts";
import type { Peer } from "../../call/call.ts";
import type {
  Auth,
  AuthGuarantees,
  GenerateOptions,
  NewAccount,
  Revocation,
  RevocationListener,
  Token,
  TokenGrant,
} from "../auth.ts";
import { requireOpen, unsupported } from "../unsupported.ts";

const auths = listOf(
  "Auths",
  "[jwtAuth(…), certificateAuth(…)]",
  part("an Auth", "jwtAuth(…)", "inspect", "generate", "token", "revoke"),
);

/**
 * Verifies callers by several `Auth`s, such as users by the tokens of a provider and services by
 * certificates. The first that knows the kind of credential, which for tokens is its issuer,
 * decides alone: what it refuses is never offered to the next one.
 *
 * Accounts and tokens are issued by the first that issues any. It revokes if each of them does.
 * Closing it closes all of them.
 *
 * @example
 * ```ts
 * import { createService } from "@micro-es/runtime";
 * import { anyAuth, goMicroAuth, jwtAuth } from "@micro-es/runtime/auth";
 *
 * const publicKey = process.env.MICRO_AUTH_PUBLIC_KEY ?? "";
 * const services = goMicroAuth({ namespace: "acme", publicKey });
 * const users = jwtAuth({ issuer: "https://login.acme.example", audience: "stock" });
 * const service = createService({ name: "stock", auth: anyAuth([services, users]) });
 * ```
 *
 * @throws MicroError `invalid_argument` for an empty list.
 */
export function anyAuth(parts: readonly Auth[]): Auth {
  checkOption("anyAuth", "auths", auths, parts);
  if (parts.length === 0) {
    throw new MicroError("invalid_argument", "anyAuth needs at least one Auth", {
      outcome: "not-executed",
    });
  }
  return new AnyAuth([...parts]);
}

class AnyAuth extends Closable implements Auth {
  readonly name = "any";
  readonly guarantees: AuthGuarantees;
  readonly #parts: readonly Auth[];
  readonly #status = new BackendStatus();
  readonly #stopWatching: readonly (() => void)[];

  constructor(parts: readonly Auth[]) {
    super();
    this.#parts = parts;
    this.guarantees = merged(parts.map(({ guarantees }) => guarantees));
    const update = (reason: MicroError | undefined) => this.#update(reason);
    this.#stopWatching = parts.map((it) => it.onStateChange((_, reason) => update(reason)));
    this.#update(undefined);
  }

  get state(): BackendState {
    return this.#status.state;
  }

  onStateChange(listener: StateListener): () => void {
    return this.#status.onStateChange(listener);
  }

  useLogger(logger: Logger): void {
    shareLogger(logger, this.#parts);
  }

  async open(): Promise<void> {
    requireOpen(this.isClosing, this.name);
    await Promise.all(this.#parts.map((it) => it.open?.()));
  }

  async inspect(credential: Credential | undefined, peer: Peer): Promise<Account | undefined> {
    requireOpen(this.isClosing, this.name);
    for (const auth of this.#parts) {
      // An error is final: another part must not accept what this one has found to be invalid.
      const account = await auth.inspect(credential, peer);
      if (account !== undefined) return account;
    }
    return undefined;
  }

  async generate(id: string, options?: GenerateOptions): Promise<NewAccount> {
    return this.#issuer("create accounts").generate(id, options);
  }

  async token(grant: TokenGrant): Promise<Token> {
    return this.#issuer("issue tokens").token(grant);
  }

  async revoke(what: Revocation): Promise<void> {
    if (!this.guarantees.revokes) {
      throw unsupported(this.name, "revoke", "call revoke of the Auth that has issued it");
    }
    await Promise.all(this.#parts.map((it) => it.revoke(what)));
  }

  onRevoked(listener: RevocationListener): () => void {
    const stops = this.#parts.map((it) => it.onRevoked?.(listener));
    return () => {
      for (const stop of stops) stop?.();
    };
  }

  protected async closeOnce(): Promise<void> {
    for (const stop of this.#stopWatching) stop();
    await closeInOrder(...this.#parts.map((it) => () => it.close()));
  }

  #issuer(what: string): Auth {
    requireOpen(this.isClosing, this.name);
    const issuer = this.#parts.find(({ guarantees }) => guarantees.issues);
    if (issuer === undefined) throw unsupported(this.name, what, "none of its Auths does");
    return issuer;
  }

  /** Lost only if no part can verify anything. */
  #update(reason: MicroError | undefined): void {
    const states = new Set(this.#parts.map(({ state }) => state));
    const [only] = states;
    const state = states.size === 1 ? only! : "degraded";
    if (state !== this.#status.state) this.#status.set(state, reason);
    else if (reason !== undefined) this.#status.explain(reason);
  }
}

/** What all of them guarantee. */
function merged(all: readonly AuthGuarantees[]): AuthGuarantees {
  return {
    issues: all.some(({ issues }) => issues),
    revokes: all.every(({ revokes }) => revokes),
    revocationMs: Math.max(...all.map(({ revocationMs }) => revocationMs)),
    keyStalenessMs: Math.max(...all.map(({ keyStalenessMs }) => keyStalenessMs)),
    algorithms: [...new Set(all.flatMap(({ algorithms }) => algorithms))],
  };
}
