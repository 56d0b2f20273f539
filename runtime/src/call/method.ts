import type { Code } from "../base/error.ts";
import type { AnyCodec, Codec } from "../codec/codec.ts";

/** How many messages each side sends. */
export type MethodKind = "unary" | "server_streaming" | "client_streaming" | "bidi_streaming";

/**
 * The effect of repeating the call, from protobuf's `idempotency_level`: `no_side_effects` may be
 * repeated and cached, `idempotent` may be repeated, `unknown` may not.
 */
export type Idempotency = "unknown" | "idempotent" | "no_side_effects";

/**
 * How often a failed call is retried (the gRPC retry design, gRFC A6). The call's deadline covers
 * all attempts together.
 */
export interface RetryPolicy {
  /** Total number of attempts, including the first; 1 turns retries off. */
  readonly attempts: number;
  /**
   * Wait before the second attempt, in milliseconds; it doubles with each further attempt, ±20 %.
   */
  readonly backoffMs: number;
  /** The longest wait between two attempts, in milliseconds. */
  readonly maxBackoffMs: number;
  /** Codes that are retried. */
  readonly on: readonly Code[];
}

/** Access to a method. With neither `public` nor scopes, any authenticated caller has access. */
export interface MethodAuth {
  /** Callable without an account. */
  readonly public?: boolean;
  /** Scopes that an account needs; all of them are required. */
  readonly scopes?: readonly string[];
  /**
   * Whether a server without auth serves the method all the same, as it does for built-in services.
   */
  readonly optional?: boolean;
}

/**
 * Everything the runtime knows about an rpc, as a constant in generated code. `I` and `O` are the
 * messages as they are received; `IInit` and `OInit` are the initializers accepted for sending.
 */
export interface Method<I = unknown, IInit = I, O = unknown, OInit = O> {
  /** The name under which the service is registered and discovered, such as `acme.greeter`. */
  readonly service: string;
  /** Full name of service and rpc, such as `acme.greeter.v1.Greeter/Hello`; unique in a server. */
  readonly name: string;
  readonly kind: MethodKind;
  readonly input: Codec<I, IInit>;
  readonly output: Codec<O, OInit>;
  readonly idempotency: Idempotency;
  /** Default deadline of a call, in milliseconds. */
  readonly timeoutMs?: number;
  readonly retry?: RetryPolicy;
  readonly auth?: MethodAuth;
}

/** A method with unknown message types, as in tables of methods. */
export interface AnyMethod extends Method {
  readonly input: AnyCodec;
  readonly output: AnyCodec;
}

/** go-micro's name for an rpc: `Greeter.Hello` for `acme.greeter.v1.Greeter/Hello`. */
export function endpointOf(method: string): string {
  const slash = method.lastIndexOf("/");
  const service = method.slice(0, Math.max(slash, 0));
  const rpc = method.slice(slash + 1);
  const type = service.slice(service.lastIndexOf(".") + 1);
  return type === "" ? rpc : `${type}.${rpc}`;
}
