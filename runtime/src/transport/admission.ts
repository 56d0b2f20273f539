import { MicroError } from "../base/error.ts";
import type { Metadata } from "../base/metadata.ts";
import type { Credential, Identity } from "../call/account.ts";
import type { Awaitable, Peer } from "../call/call.ts";
import type { AnyMethod } from "../call/method.ts";
import type { CallAccess } from "./transport.ts";

/** The longest token that is read, in characters. */
export const maxTokenLength: number = 8 * 1024;

/**
 * Returns the credential in the metadata of a call; undefined if there is none.
 *
 * @throws MicroError `unauthenticated`, `not-executed`, if there is more than one, or it is not a
 * bearer token.
 */
export function credentialOf(metadata: Metadata | undefined): Credential | undefined {
  const values = metadata?.getAll("authorization") ?? [];
  return values.length === 0 ? undefined : credentialFrom(values);
}

/** As {@link credentialOf}, for the values of `authorization`. */
export function credentialFrom(values: readonly (string | Uint8Array)[]): Credential | undefined {
  const [value] = values;
  if (value === undefined) return undefined;
  const [, token] =
    /^bearer +([\x21-\x7e]+) *$/i.exec(typeof value === "string" ? value : "") ?? [];
  if (values.length > 1 || token === undefined || token.length > maxTokenLength) {
    throw needsCredential();
  }
  return { scheme: "bearer", token };
}

/** The error of a call without a valid credential. */
export function needsCredential(): MicroError {
  return new MicroError("unauthenticated", "the call needs a valid credential", {
    outcome: "not-executed",
  });
}

/**
 * Verifies the credential of a caller, and whether that caller may call the method. Returns the
 * identity of the caller, at once if everything is known already; undefined without an account.
 *
 * @throws MicroError that is the response to the call, `not-executed`.
 */
export function admitCall(
  access: CallAccess,
  method: AnyMethod,
  credential: Credential | undefined,
  peer: Peer,
): Awaitable<Identity | undefined> {
  return admitIdentity(access, method, access.identify(credential, peer), peer);
}

/** As {@link admitCall}, for a caller whose identity is known or being verified. */
export function admitIdentity(
  access: CallAccess,
  method: AnyMethod,
  identity: Awaitable<Identity | undefined>,
  peer: Peer,
): Awaitable<Identity | undefined> {
  if (identity instanceof Promise) {
    return identity.then((found) => admitIdentity(access, method, found, peer));
  }
  const admitted = access.admit(method, identity, peer);
  return admitted instanceof Promise ? admitted.then(() => identity) : identity;
}
