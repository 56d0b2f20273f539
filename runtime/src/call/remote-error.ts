import type { MicroError } from "../base/error.ts";

const remoteErrors = new WeakSet<MicroError>();

/**
 * Marks an error as the other side's response, verbatim, although nothing is known about its
 * effect.
 */
export function markRemote(error: MicroError): MicroError {
  remoteErrors.add(error);
  return error;
}

/** Whether an error is the response of the other side's handler, or of a stand-in for it. */
export function isRemote(error: MicroError): boolean {
  return error.outcome === "executed" || remoteErrors.has(error);
}
