import { asMicroError, MicroError, messageOf } from "../base/error.ts";
import { Metadata } from "../base/metadata.ts";
import type {
  CredentialSource,
  CredentialTarget,
  IssuedCredential,
} from "../call/credential-source.ts";
import type { CredentialPolicy } from "../transport/credential-policy.ts";
import type { Channel } from "../transport/transport.ts";
import type { CancellableWaits } from "./cancellable-wait.ts";
import type { ChannelPool } from "./channel-pool.ts";
import type { ChannelSlot } from "./channel-slot.ts";
import type { Attempt, OutboundCall } from "./outbound-call.ts";

const key = "authorization";

/** A service at an address, and why credentials may not be sent there. */
interface Destination extends CredentialTarget {
  readonly isNamed: boolean;
  /** Undefined if they may. */
  readonly refusal: string | undefined;
}

/**
 * Decides which credential an attempt presents: gets it from the source, and holds it back from
 * servers that must not see it. A credential that is held back fails the call; a call without it
 * would look like one of another caller.
 */
export class CallCredentials {
  readonly #source: CredentialSource | undefined;
  readonly #policy: CredentialPolicy;
  readonly #pool: ChannelPool;
  readonly #waits: CancellableWaits;
  /** Metadata with nothing but a credential. */
  readonly #alone = new WeakMap<IssuedCredential, Metadata>();
  /** The destination of the last call over a connection, which is usually that of the next. */
  readonly #destinations = new WeakMap<ChannelSlot, Destination>();
  /** The connection of the last call, which is usually that of the next call too. */
  #lastSlot: ChannelSlot | undefined;
  #lastDestination: Destination | undefined;
  /** What the last call presented without other metadata, which the next one usually does too. */
  #lastCredential: IssuedCredential | undefined;
  #lastMetadata: Metadata | undefined;

  /** @param source of the client; undefined if only calls have sources. */
  constructor(
    source: CredentialSource | undefined,
    policy: CredentialPolicy,
    pool: ChannelPool,
    waits: CancellableWaits,
  ) {
    this.#source = source;
    this.#policy = policy;
    this.#pool = pool;
    this.#waits = waits;
  }

  /** The source of a call's credentials; undefined if the call presents none. */
  sourceOf({ options }: OutboundCall): CredentialSource | undefined {
    const own = options.credentials;
    if (own === undefined) return this.#source;
    return own === false ? undefined : own;
  }

  /** Adds the credential to an attempt. Returns the channel that was passed. */
  attach(
    source: CredentialSource,
    attempt: Attempt,
    channel: Channel | Promise<Channel>,
  ): Channel | Promise<Channel> {
    if (channel instanceof Promise) {
      return channel.then((connected) => this.#attach(source, attempt, connected));
    }
    return this.#attach(source, attempt, channel);
  }

  /**
   * Whether an attempt failed only because of its credential, and the source will supply another:
   * the call is then repeated, once.
   */
  async canReplace({ call, credential }: Attempt, error: MicroError): Promise<boolean> {
    if (credential === undefined || call.renewedCredential) return false;
    if (error.code !== "unauthenticated" || error.outcome !== "not-executed") return false;
    const { signal, deadline } = call;
    const what = "after a credential was refused";
    try {
      const isReplaced = this.sourceOf(call)?.rejected?.(credential, error) ?? false;
      call.renewedCredential =
        isReplaced instanceof Promise
          ? await this.#waits.until(isReplaced, { signal, deadline, what })
          : isReplaced;
    } catch {
      // The call fails with the refusal, which says more than the failure of the source.
      return false;
    }
    return call.renewedCredential && signal?.aborted !== true;
  }

  #attach(
    source: CredentialSource,
    attempt: Attempt,
    channel: Channel,
  ): Channel | Promise<Channel> {
    // The caller's own, as before there were sources.
    if (attempt.metadata?.has(key) === true) return channel;
    const destination = this.#destinationOf(attempt);
    let credential: ReturnType<CredentialSource["credential"]>;
    try {
      credential = source.credential(destination);
    } catch (reason) {
      throw sourceFailed(reason, destination.service);
    }
    if (!(credential instanceof Promise)) {
      this.#present(credential, destination, attempt, channel);
      return channel;
    }
    return this.#presentLater(credential, destination, attempt, channel);
  }

  async #presentLater(
    credential: Promise<IssuedCredential | undefined>,
    destination: Destination,
    attempt: Attempt,
    channel: Channel,
  ): Promise<Channel> {
    const { signal, deadline } = attempt.call;
    const { service } = destination;
    const what = `while a credential for ${service} was requested`;
    let issued: IssuedCredential | undefined;
    try {
      issued = await this.#waits.until(credential, { signal, deadline, what });
    } catch (reason) {
      throw sourceFailed(reason, service);
    }
    this.#present(issued, destination, attempt, channel);
    return channel;
  }

  #present(
    credential: IssuedCredential | undefined,
    { service, address, refusal: refused }: Destination,
    attempt: Attempt,
    channel: Channel,
  ): void {
    if (credential === undefined) return;
    if (credential !== this.#lastCredential) checkIssued(credential, service);
    const refusal = notForService(credential, service) ?? refused;
    if (refusal !== undefined) {
      throw withoutCredential(
        new MicroError(
          "failed_precondition",
          `the credential may not be sent to ${service} at ${address}: ${refusal}`,
          { outcome: "not-executed" },
        ),
      );
    }
    attempt.credential = credential;
    if (channel.carriesCredentials === true) return;
    attempt.metadata =
      attempt.metadata === undefined
        ? this.#metadataOf(credential)
        : new Metadata(attempt.metadata).set(key, header(credential));
  }

  /** Shared by all calls that send no other metadata, so that it is encoded once. */
  #metadataOf(credential: IssuedCredential): Metadata {
    if (credential === this.#lastCredential && this.#lastMetadata !== undefined) {
      return this.#lastMetadata;
    }
    let metadata = this.#alone.get(credential);
    if (metadata === undefined) {
      metadata = new Metadata().set(key, header(credential));
      this.#alone.set(credential, metadata);
    }
    this.#lastCredential = credential;
    this.#lastMetadata = metadata;
    return metadata;
  }

  #destinationOf(attempt: Attempt): Destination {
    const slot = this.#slotOf(attempt);
    const service = serviceOf(attempt.call);
    const isNamed = attempt.call.options.address !== undefined;
    const known = slot === this.#lastSlot ? this.#lastDestination : this.#destinations.get(slot);
    this.#lastSlot = slot;
    this.#lastDestination = known;
    if (known?.service === service && known.isNamed === isNamed) return known;
    const { address } = slot;
    const verifiedBy = slot.verifies(service);
    const refusal = this.#policy.refusal({ address, verifiedBy, isNamed });
    const destination = { service, address, verifiedBy, isNamed, refusal };
    this.#destinations.set(slot, destination);
    this.#lastDestination = destination;
    return destination;
  }

  #slotOf({ call, candidate }: Attempt): ChannelSlot {
    return candidate === undefined
      ? this.#pool.toAddress(call.options.address ?? "", serviceOf(call))
      : this.#pool.toNode(candidate.node, call.target);
  }
}

const failures = new WeakSet<MicroError>();

/** Whether a call failed before it was sent because it had no credential that it may present. */
export function isWithoutCredential(error: MicroError): boolean {
  return failures.has(error);
}

function withoutCredential(error: MicroError): MicroError {
  failures.add(error);
  return error;
}

function sourceFailed(reason: unknown, service: string): MicroError {
  const cause = asMicroError(reason, "internal");
  const message =
    reason instanceof MicroError
      ? cause.message
      : `the credential source threw ${messageOf(reason)}`;
  return withoutCredential(
    new MicroError(cause.code, `no credential for ${service}: ${message}`, {
      outcome: "not-executed",
      cause,
    }),
  );
}

/** An application's source may return anything. */
function checkIssued(credential: unknown, service: string): asserts credential is IssuedCredential {
  const { scheme, token, services } = Object(credential) as {
    [K in keyof IssuedCredential]?: unknown;
  };
  const isIssued = scheme === "bearer" && typeof token === "string" && token !== "";
  if (isIssued && (services === undefined || services instanceof Set)) return;
  throw sourceFailed(
    new MicroError(
      "internal",
      'the credential source must return undefined or { scheme: "bearer", token, services }, with a ' +
        "text as token and a Set or undefined as services",
    ),
    service,
  );
}

function serviceOf({ options, method }: OutboundCall): string {
  return options.service ?? method.service;
}

function notForService({ services }: IssuedCredential, service: string): string | undefined {
  if (services === undefined || services.has(service)) return undefined;
  const names = [...services].slice(0, 8).join(", ") || "no service";
  return (
    `it is for ${names}; request a token with the audience ${JSON.stringify(service)}, ` +
    "or set the option services of its source to the services that may receive it"
  );
}

function header({ token }: IssuedCredential): string {
  return `Bearer ${token}`;
}
