import type { KeyObject } from "node:crypto";
import { BackendStatus } from "../../base/backend-state.ts";
import { Closable } from "../../base/closable.ts";
import { MicroError } from "../../base/error.ts";
import { createLogger, type Logger } from "../../base/logger.ts";
import {
  checkOptions,
  durationMs,
  either,
  instanceOf,
  listOf,
  logger,
  type OptionKindsOf,
  optionsOf,
  pem,
  required,
  text,
  texts,
} from "../../base/option-check.ts";
import type { Awaitable } from "../../call/call.ts";
import type { VerificationKey } from "../verification-key.ts";
import { JwksSource } from "./jwks-source.ts";
import { keySetAt } from "./key-set-origin.ts";

/** An account that publishes events, and where its keys are. */
export interface EventPublisher {
  readonly issuer: string;
  /** Id of the account. Every Ed25519 key of the set signs for it, and for no other one. */
  readonly account: string;
  /** The key set: an https URL or a path. */
  readonly jwks: string | URL;
  /** Type of the account. Default `service`. */
  readonly type?: string;
  /** Scopes of the account. Default: none. */
  readonly scopes?: readonly string[];
}

/** Options of {@link publishedEventKeys}. */
export interface PublishedEventKeysOptions {
  readonly publishers: readonly EventPublisher[];
  /** Time between two reads of a set, varied by 20 %; in milliseconds. Default 5 minutes. */
  readonly refreshMs?: number;
  /**
   * How long keys are used while they cannot be read again, in milliseconds; events are then not
   * accepted. Default 24 hours.
   */
  readonly maxStaleMs?: number;
  /** PEM of the authorities that https servers are verified by. Default: Node's. */
  readonly ca?: string | Buffer;
  /** Default: warnings go to standard error. */
  readonly logger?: Logger;
}

/** The keys of publishers, for the option `events.keySource`. */
export interface PublishedEventKeys extends AsyncDisposable {
  key(issuer: string, account: string, keyId: string): Awaitable<PublishedEventKey | undefined>;
  /** Ends the reading of the sets. Idempotent. */
  close(): Promise<void>;
}

/** A key of a publisher. */
export interface PublishedEventKey extends Omit<EventPublisher, "jwks"> {
  readonly keyId: string;
  readonly key: KeyObject;
}

const minRefreshMs = 1_000;
const dayMs = 24 * 60 * 60 * 1_000;

const kinds: OptionKindsOf<PublishedEventKeysOptions> = {
  publishers: required(
    listOf(
      "publishers",
      '[{ issuer: "acme", account: "service:order", jwks: "https://order.acme.example/keys.json" }]',
      optionsOf<EventPublisher>({
        issuer: required(text),
        account: required(text),
        jwks: required(either(text, instanceOf("a URL", URL))),
        type: text,
        scopes: texts,
      }),
    ),
  ),
  refreshMs: durationMs(minRefreshMs, dayMs),
  maxStaleMs: durationMs(minRefreshMs),
  ca: pem,
  logger,
};

/**
 * The keys by which events are verified, each publisher's from a key set of its own. A publisher
 * changes its key by adding the next one to the set before it signs, and removing the last one when
 * the events that it has signed are handled.
 *
 * @example
 * ```ts
 * import { createService } from "@micro-es/runtime";
 * import { publishedEventKeys } from "@micro-es/runtime/auth";
 *
 * const keySource = publishedEventKeys({
 *   publishers: [
 *     { issuer: "acme", account: "service:order", jwks: "https://order.acme.example/keys.json" },
 *   ],
 * });
 * const service = createService({ name: "stock", events: { verify: "required", keySource } });
 * ```
 *
 * @throws MicroError `invalid_argument` for an option that cannot be used.
 */
export function publishedEventKeys(options: PublishedEventKeysOptions): PublishedEventKeys {
  checkOptions("publishedEventKeys", options, kinds);
  return new KeySetsOfPublishers(options);
}

interface Publisher {
  readonly about: Omit<EventPublisher, "jwks">;
  readonly source: JwksSource;
}

class KeySetsOfPublishers extends Closable implements PublishedEventKeys {
  readonly #publishers = new Map<string, Publisher>();

  constructor(options: PublishedEventKeysOptions) {
    super();
    for (const publisher of options.publishers) {
      const { jwks, ...about } = publisher;
      const name = nameOf(about.issuer, about.account);
      if (this.#publishers.has(name)) {
        throw invalid(`has two key sets of ${about.account} of ${about.issuer}`);
      }
      this.#publishers.set(name, { about, source: sourceOf(jwks, options) });
    }
  }

  key(issuer: string, account: string, keyId: string): Awaitable<PublishedEventKey | undefined> {
    const publisher = this.#publishers.get(nameOf(issuer, account));
    if (publisher === undefined) return undefined;
    const described = (found: VerificationKey | undefined): PublishedEventKey | undefined =>
      found && { ...publisher.about, keyId, key: found.key };
    const key = publisher.source.key(keyId);
    return key instanceof Promise ? key.then(described) : described(key);
  }

  protected async closeOnce(): Promise<void> {
    await Promise.all([...this.#publishers.values()].map(({ source }) => source.close()));
  }
}

function sourceOf(
  jwks: string | URL,
  { refreshMs = 5 * 60_000, maxStaleMs = dayMs, ca, logger }: PublishedEventKeysOptions,
): JwksSource {
  if (maxStaleMs < refreshMs) {
    throw invalid(`has a maxStaleMs (${maxStaleMs}) that is less than refreshMs (${refreshMs})`);
  }
  const log = logger ?? createLogger({ level: "warn" });
  const status = new BackendStatus();
  status.onStateChange((state, reason) => {
    if (reason !== undefined) log.warn({ state, error: reason.message }, "keys of a publisher");
  });
  return new JwksSource({
    origin: keySetAt(jwks, ca, "publishedEventKeys: jwks"),
    algorithms: ["EdDSA"],
    refreshMs,
    maxStaleMs,
    kept: undefined,
    status,
    logger: log,
    onRemoved: () => undefined,
  });
}

function nameOf(issuer: string, account: string): string {
  return JSON.stringify([issuer, account]);
}

function invalid(reason: string): MicroError {
  return new MicroError("invalid_argument", `publishedEventKeys ${reason}`, {
    outcome: "not-executed",
  });
}
