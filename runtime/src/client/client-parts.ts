import type { Backoff } from "../base/backoff.ts";
import type { Logger } from "../base/logger.ts";
import type { CredentialSource } from "../call/credential-source.ts";
import type { RetryPolicy } from "../call/method.ts";
import type { NodeFilter, Selector } from "../selector/selector.ts";
import type { CredentialPolicyOptions } from "../transport/credential-policy.ts";
import type { Transport } from "../transport/transport.ts";
import type { ClientInterceptor } from "./client.ts";
import type { RetryBudgetOptions } from "./retry-budget.ts";

/**
 * The parts of a client. The caller keeps ownership of them: the client closes only its
 * connections.
 */
export interface ClientParts {
  readonly selector: Selector;
  /** The first transport that supports a node's protocol and address is used. */
  readonly transports: readonly Transport[];
  /**
   * Default timeout of calls, in milliseconds; overrides the schema's. Default: the schema's, or
   * 30,000.
   */
  readonly timeoutMs?: number;
  /** Run around every call; the first is outermost. */
  readonly interceptors?: readonly ClientInterceptor[];
  /**
   * Presents who calls, with each attempt of each call. A credential is sent only where no other
   * party can use it: over TLS to a server whose service was verified (`tls.client.identityOf`), on
   * this machine, and where {@link credentialPolicy} allows it. Other calls fail with
   * `failed_precondition`. Default: none.
   */
  readonly credentials?: CredentialSource;
  /** Where credentials may be sent in addition. */
  readonly credentialPolicy?: CredentialPolicyOptions;
  /** Overrides the schema's policies; `false` disables retries. */
  readonly retry?: Partial<RetryPolicy> | false;
  /** Maximum number of retries caused by the calls to one service; `false`: unlimited. */
  readonly retryBudget?: Partial<RetryBudgetOptions> | false;
  /** Filters for the nodes of every call, in addition to the call's own. */
  readonly filters?: readonly NodeFilter[];
  /**
   * Maximum number of connections to one node; another is opened when each has over a thousand
   * calls. Default 1.
   */
  readonly maxConnectionsPerNode?: number;
  /** Maximum number of addresses connected at once. Default 4,096. */
  readonly maxAddresses?: number;
  /**
   * Time limit for opening a connection, in milliseconds; then another node is tried. Default
   * 5,000.
   */
  readonly dialTimeoutMs?: number;
  /** Delays between failed dials of an address. Default: 1 s, times 1.6, up to 120 s, ±20 %. */
  readonly reconnect?: Partial<Backoff>;
  /** Connections unused for this long are closed, in milliseconds. Default 300,000. */
  readonly idleMs?: number;
  /** Default: none. */
  readonly logger?: Logger;
  /** Random source for jitter, from 0 up to but excluding 1. Default `Math.random`. */
  readonly random?: () => number;
  /** Closed after the client, in this order; for parts created for this client alone. */
  readonly owned?: readonly { close(): Promise<void> }[];
}
