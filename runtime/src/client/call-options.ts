import type { ParentContext } from "../call.ts";
import { MicroError } from "../error.ts";
import { Metadata, type MetadataInit } from "../metadata.ts";
import type { AnyMethod } from "../method.ts";
import type { CallOptions } from "./client.ts";

/** Time for a call when neither schema, client nor call say how much, in milliseconds. */
export const defaultTimeoutMs = 30_000;

/** Options of a call that was made with none. */
export const noOptions: CallOptions = Object.freeze({});

/**
 * The options as they count. A handler's context that stands where options are expected is nothing but a
 * context, whatever else it has under the names of options.
 */
export function callOptions(given: CallOptions | undefined): CallOptions {
  if (given === undefined) return noOptions;
  const { context } = given;
  if (context === undefined || (context as unknown) !== given) return given;
  return { context };
}

/**
 * When the call must have ended: the earliest of its own deadline, its context's and its timeout, which is the
 * call's, or else the client's, the schema's, or 30 s.
 *
 * @throws MicroError `invalid_argument` for a time that is no number.
 */
export function callDeadline(
  method: AnyMethod,
  options: CallOptions,
  clientTimeoutMs: number | undefined,
  now: number,
): number {
  const timeoutMs = options.timeoutMs ?? clientTimeoutMs ?? method.timeoutMs ?? defaultTimeoutMs;
  let deadline = now + timeoutMs;
  if (options.deadline !== undefined && !(deadline < options.deadline)) deadline = options.deadline;
  const parent = options.context?.deadline;
  if (parent !== undefined && parent < deadline) deadline = parent;
  if (!Number.isNaN(deadline)) return deadline;
  throw new MicroError(
    "invalid_argument",
    `${method.name} cannot be called with timeoutMs ${timeoutMs} and deadline ${options.deadline}: give numbers`,
    { outcome: "not-executed" },
  );
}

/** What is sent beside the request: what propagates from the context, and over it the call's own. */
export function callMetadata(
  own: MetadataInit | undefined,
  context: ParentContext | undefined,
): MetadataInit | undefined {
  const propagated = context?.propagatedMetadata;
  if (propagated === undefined || propagated.isEmpty) return own;
  return own === undefined ? propagated : new Metadata(propagated).assign(own);
}
