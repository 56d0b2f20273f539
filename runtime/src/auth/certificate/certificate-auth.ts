import { type BackendState, BackendStatus, type StateListener } from "../../base/backend-state.ts";
import { Closable } from "../../base/closable.ts";
import { MicroError, messageOf } from "../../base/error.ts";
import { createLogger, type Logger } from "../../base/logger.ts";
import {
  checkOptions,
  logger,
  type OptionKindsOf,
  object,
  required,
  text,
} from "../../base/option-check.ts";
import { PartLogger } from "../../base/part-logger.ts";
import type { Account, Credential } from "../../call/account.ts";
import type { Peer, PeerCertificate } from "../../call/call.ts";
import type { Auth, AuthGuarantees, NewAccount, RevocationListener, Token } from "../auth.ts";
import { invalidCredential } from "../refusals.ts";
import { RevocationListeners } from "../revocation-listeners.ts";
import { requireOpen, unsupported } from "../unsupported.ts";
import { identityOf, readCertificate, verifyChain } from "./certificate-chain.ts";
import { lookEveryMs, TrustBundleSet, type TrustBundles } from "./trust-bundles.ts";

/** Options of {@link certificateAuth}. */
export interface CertificateAuthOptions {
  /**
   * The authorities of each trust domain: `{ "acme.example": { file: "/run/spire/bundle.pem" } }`,
   * or the certificates in PEM. A certificate is verified only by those of its own domain.
   */
  readonly bundles: TrustBundles;
  /** Type of the accounts. Default `service`. */
  readonly type?: string;
  readonly logger?: Logger;
}

const kinds: OptionKindsOf<CertificateAuthOptions> = {
  bundles: required(object),
  type: text,
  logger,
};

/**
 * Verifies callers by the certificates of their connections (SPIFFE X.509-SVID). The id of an
 * account is the SPIFFE id, and its issuer the trust domain, such as `spiffe://acme.example`. The
 * accounts have no scopes of their own; rules give them scopes (`ScopeGrant`).
 *
 * Listeners must ask for certificates: `tls.server.clientCertificate`. Bundles in files are read
 * again when the files change; accounts whose authority has left the bundle end then.
 *
 * @throws MicroError `invalid_argument` for a bundle that cannot be used.
 *
 * @example
 * ```ts
 * import { createService } from "@micro-es/runtime";
 * import { certificateAuth } from "@micro-es/runtime/auth";
 *
 * const service = createService({
 *   name: "stock",
 *   auth: certificateAuth({ bundles: { "acme.example": { file: "/run/spire/bundle.pem" } } }),
 * });
 * ```
 */
export function certificateAuth(options: CertificateAuthOptions): Auth {
  checkOptions("certificateAuth", options, kinds);
  return new CertificateAuth(options);
}

class CertificateAuth extends Closable implements Auth {
  readonly name = "certificate";
  readonly guarantees: AuthGuarantees;
  readonly #type: string;
  readonly #bundles: TrustBundleSet;
  readonly #status = new BackendStatus();
  readonly #logger: PartLogger;
  readonly #revocations = new RevocationListeners();
  /** Accounts of the present bundles, by the certificate of a connection. */
  #accounts = new WeakMap<PeerCertificate, Account>();
  readonly #certificates = new WeakMap<Account, PeerCertificate>();
  #timer: NodeJS.Timeout | undefined;
  #reading: Promise<void> | undefined;

  constructor(options: CertificateAuthOptions) {
    super();
    this.#type = options.type ?? "service";
    this.#bundles = new TrustBundleSet(options.bundles);
    this.#logger = new PartLogger(options.logger, createLogger({ level: "warn" }));
    this.guarantees = {
      issues: false,
      revokes: false,
      revocationMs: Number.POSITIVE_INFINITY,
      keyStalenessMs: this.#bundles.hasFiles ? 2 * lookEveryMs : Number.POSITIVE_INFINITY,
      algorithms: [],
    };
  }

  get state(): BackendState {
    return this.#status.state;
  }

  onStateChange(listener: StateListener): () => void {
    return this.#status.onStateChange(listener);
  }

  useLogger(logger: Logger): void {
    this.#logger.use(logger);
  }

  /** Reads the bundles, and again whenever their files change. */
  async open(): Promise<void> {
    requireOpen(this.isClosing, this.name);
    if (!this.#bundles.hasFiles || this.#timer !== undefined) return;
    this.#timer = setInterval(() => void this.#read(), lookEveryMs);
    this.#timer.unref();
    await this.#read();
  }

  inspect(credential: Credential | undefined, { certificate }: Peer): Account | undefined {
    // Others verify tokens; a certificate does not make up for a token that is not valid.
    if (credential !== undefined || certificate === undefined) return undefined;
    requireOpen(this.isClosing, this.name);
    const known = this.#accounts.get(certificate);
    if (known !== undefined && Date.now() < known.expiresAtMs) return known;
    const account = this.#verify(certificate);
    this.#accounts.set(certificate, account);
    this.#certificates.set(account, certificate);
    return account;
  }

  async generate(): Promise<NewAccount> {
    throw unsupported(this.name, "create accounts", "issue a certificate");
  }

  async token(): Promise<Token> {
    throw unsupported(this.name, "issue tokens", "callers present their certificates");
  }

  async revoke(): Promise<void> {
    throw unsupported(this.name, "revoke", "deny by a rule, or remove the authority");
  }

  onRevoked(listener: RevocationListener): () => void {
    return this.#revocations.add(listener);
  }

  protected async closeOnce(): Promise<void> {
    clearInterval(this.#timer);
    await this.#reading;
  }

  #verify(certificate: PeerCertificate): Account {
    try {
      const chain = certificate.chain.map(readCertificate);
      const [leaf] = chain;
      if (leaf === undefined) throw new Error("there is no certificate");
      const { text: id, trustDomain } = identityOf(leaf);
      const bundle = this.#bundles.of(trustDomain);
      if (bundle === undefined) throw new Error(`the trust domain ${trustDomain} is not known`);
      if (bundle.length === 0) throw noBundle(trustDomain);
      return {
        id,
        type: this.#type,
        issuer: `spiffe://${trustDomain}`,
        scopes: new Set(),
        claims: {},
        expiresAtMs: verifyChain(chain, bundle, Date.now()),
        provenBy: "certificate",
      };
    } catch (reason) {
      if (reason instanceof MicroError) throw reason;
      throw invalidCredential(messageOf(reason), reason);
    }
  }

  #read(): Promise<void> {
    this.#reading ??= this.#readOnce().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  async #readOnce(): Promise<void> {
    const { changed, failure } = await this.#bundles.read();
    if (this.isClosing) return;
    if (changed) this.#changed();
    if (failure !== undefined && this.#status.state === "healthy") {
      this.#logger.warn(
        { error: failure },
        "a trust bundle cannot be read; the last good one stays in use",
      );
    }
    this.#status.set(failure === undefined ? "healthy" : "degraded", failure);
  }

  #changed(): void {
    this.#accounts = new WeakMap();
    this.#revocations.tell((account) => {
      const certificate = this.#certificates.get(account);
      if (certificate === undefined) return false;
      try {
        this.#verify(certificate);
        return false;
      } catch {
        // The account has ended, for whatever reason.
        return true;
      }
    });
  }
}

function noBundle(trustDomain: string): MicroError {
  return new MicroError(
    "unavailable",
    `the bundle of ${trustDomain} could not be read yet; see the log`,
    { outcome: "not-executed" },
  );
}
