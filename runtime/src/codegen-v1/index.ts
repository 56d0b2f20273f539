/**
 * The functions that generated code calls. The version number increases when they change
 * incompatibly, and the old entry point stays, so that output of an earlier generator keeps
 * working.
 */
import { MicroError } from "../base/error.ts";
import type { AuthenticatedContext, CallContext } from "../call/call.ts";
import { declareSchema } from "../call/schema-digests.ts";
import type { Client } from "../client/client.ts";
import { checkHandler } from "../server/handler-check.ts";
import type { Server } from "../server/server.ts";

export { type FileDescriptors, fileDescriptors } from "../codec/file-descriptors.ts";
export { checkType, isNonzero, lengthOf, required } from "../codec/wire/checks.ts";
export { boolKey } from "../codec/wire/coercion.ts";
export { isOwn, noBytes, withDefaults } from "../codec/wire/defaults.ts";
export { readGroup } from "../codec/wire/group.ts";
export * from "../codec/wire/integer-keys.ts";
export { readKey, roomyMap, setEntry } from "../codec/wire/map-keys.ts";
export { described, type MessageCodec, messageCodec } from "../codec/wire/message-codec.ts";
export type { MessageInit } from "../codec/wire/message-init.ts";
export * from "../codec/wire/packed-read.ts";
export * from "../codec/wire/packed-write.ts";
export * from "../codec/wire/read-scalars.ts";
export {
  endOf,
  enter,
  getUint32,
  isNext,
  leave,
  nextTag,
  partOf,
  type Reader,
} from "../codec/wire/reader.ts";
export { readStruct, writeStruct } from "../codec/wire/struct.ts";
export { keepEnum, keepField, keepUnknown, skipField } from "../codec/wire/unknown.ts";
export { readWrapped } from "../codec/wire/wrappers.ts";
export * from "../codec/wire/write-fixed.ts";
export * from "../codec/wire/write-scalars.ts";
export {
  closeLength,
  putKept,
  putTag,
  putUnknown,
  room,
  type Writer,
} from "../codec/wire/writer.ts";

/**
 * Narrows the context of a call whose caller has an account, for the handler of a method whose
 * schema requires one.
 *
 * @throws MicroError `unauthenticated` if there is none, which a server never lets through.
 */
export function authenticated(context: CallContext): AuthenticatedContext {
  if (context.account !== undefined) return context as AuthenticatedContext;
  throw new MicroError("unauthenticated", `${context.method.name} needs an account`, {
    outcome: "not-executed",
  });
}

/** Declares that a client calls a service by the schema with this digest. */
export function calls(client: Client, service: string, digest: string): void {
  declareSchema(client, "calls", service, digest);
}

/**
 * Declares that a server serves a service by the schema with this digest.
 *
 * @param handler the registered handler, with `methods`, the names of its methods; output of
 * earlier versions passes neither.
 * @throws MicroError `invalid_argument` when the handler lacks a method.
 */
export function serves(
  server: Server,
  service: string,
  digest: string,
  handler?: object,
  methods?: readonly string[],
): void {
  if (methods !== undefined) checkHandler(service, handler, methods);
  declareSchema(server, "serves", service, digest);
}
