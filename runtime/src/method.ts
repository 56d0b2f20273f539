import type { AnyCodec, Codec } from "./codec/codec.ts";
import type { Code } from "./error.ts";

/** Who sends how many messages. */
export type MethodKind = "unary" | "server_streaming" | "client_streaming" | "bidi_streaming";

/**
 * What a repetition of the call does, from protobuf's `idempotency_level`: `no_side_effects` may be
 * repeated and cached, `idempotent` may be repeated, `unknown` may not.
 */
export type Idempotency = "unknown" | "idempotent" | "no_side_effects";

/**
 * How often a failed call is tried again (the gRPC retry design, gRFC A6). The deadline of the call holds
 * over all attempts together.
 */
export interface RetryPolicy {
  /** Attempts in all, the first included; 1 turns retries off. */
  readonly attempts: number;
  /** Wait before the second attempt, in milliseconds; it doubles with each further one, ±20 %. */
  readonly backoffMs: number;
  /** The longest wait between two attempts, in milliseconds. */
  readonly maxBackoffMs: number;
  /** Codes that are worth another attempt. */
  readonly on: readonly Code[];
}

/** Who may call a method. Neither `public` nor scopes: whoever is authenticated. */
export interface MethodAuth {
  /** Callable without an account. */
  readonly public?: boolean;
  /** Scopes that an account needs, all of them. */
  readonly scopes?: readonly string[];
}

/**
 * Everything the runtime knows of an rpc, as a constant that generated code writes. `I` and `O` are the
 * messages as they are received, `IInit` and `OInit` what may be given to send.
 */
export interface Method<I = unknown, IInit = I, O = unknown, OInit = O> {
  /** The name that the service is registered and found by, such as `acme.greeter`. */
  readonly service: string;
  /** Full name of service and rpc, such as `acme.greeter.v1.Greeter/Hello`; unique in a server. */
  readonly name: string;
  readonly kind: MethodKind;
  readonly input: Codec<I, IInit>;
  readonly output: Codec<O, OInit>;
  readonly idempotency: Idempotency;
  /** Deadline of a call that names none, in milliseconds. */
  readonly timeoutMs?: number;
  readonly retry?: RetryPolicy;
  readonly auth?: MethodAuth;
}

/** A method whose message types are not known here, as tables of methods hold it. */
export interface AnyMethod extends Method {
  readonly input: AnyCodec;
  readonly output: AnyCodec;
}

/** `Greeter.Hello` for `acme.greeter.v1.Greeter/Hello`: what go-micro calls an rpc. */
export function endpointOf(method: string): string {
  const slash = method.lastIndexOf("/");
  const service = method.slice(0, Math.max(slash, 0));
  const rpc = method.slice(slash + 1);
  const type = service.slice(service.lastIndexOf(".") + 1);
  return type === "" ? rpc : `${type}.${rpc}`;
}
