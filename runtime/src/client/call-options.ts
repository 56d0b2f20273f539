import { Metadata, type MetadataInit } from "../base/metadata.ts";
import { checkName, checkOption, checkOptions, type OptionKind } from "../base/option-check.ts";
import type { ParentContext } from "../call/call.ts";
import type { AnyMethod } from "../call/method.ts";
import type { CallOptions } from "./client.ts";
import { callKinds } from "./option-kinds.ts";

/**
 * Default timeout of a call when neither the schema, the client nor the call sets one, in
 * milliseconds.
 */
export const defaultTimeoutMs = 30_000;

const kinds: ReadonlyMap<string, OptionKind> = new Map(Object.entries(callKinds));
const names: readonly string[] = [...kinds.keys()];
/** Names that resemble no option, cached so that each is compared with all options only once. */
const foreignNames = new Set<string>();
const mostForeignNames = 1_024;

/**
 * Validates the options of a call. It runs on every call, so it checks only the options present and
 * allocates nothing.
 * @throws MicroError `invalid_argument` that names the option, the values allowed and the value
 * given.
 */
export function checkCallOptions(method: string, options: CallOptions): void {
  if (options === noOptions) return;
  // A string has its indexes as names, and other values have none.
  if (typeof options !== "object") checkOptions<CallOptions>(method, options, callKinds);
  for (const name in options) {
    const kind = kinds.get(name);
    if (kind !== undefined) checkOption(method, name, kind, options[name as keyof CallOptions]);
    else if (!foreignNames.has(name)) {
      checkName(method, name, names);
      if (foreignNames.size < mostForeignNames) foreignNames.add(name);
    }
  }
}

/** The options of a call made without any. */
export const noOptions: CallOptions = Object.freeze({});

/**
 * Normalizes the options. A handler's context passed as the options is used only as a context, even
 * if it has properties with the names of options.
 */
export function callOptions(given: CallOptions | undefined): CallOptions {
  if (given === undefined) return noOptions;
  const { context } = given;
  if (context === undefined || (context as unknown) !== given) return given;
  return { context };
}

/**
 * The deadline of the call: the earliest of its own deadline, its context's and its timeout. The
 * timeout is the call's, or else the client's, the schema's, or 30 s.
 */
export function callDeadline(
  method: AnyMethod,
  options: CallOptions,
  clientTimeoutMs: number | undefined,
  now: number,
): number {
  const timeoutMs = options.timeoutMs ?? clientTimeoutMs ?? method.timeoutMs ?? defaultTimeoutMs;
  let deadline = now + timeoutMs;
  if (options.deadline !== undefined && options.deadline < deadline) deadline = options.deadline;
  const parent = options.context?.deadline;
  if (parent !== undefined && parent < deadline) deadline = parent;
  return deadline;
}

/**
 * The metadata sent in addition to the request: what propagates from the context, overridden by the
 * call's own.
 */
export function callMetadata(
  own: MetadataInit | undefined,
  context: ParentContext | undefined,
): MetadataInit | undefined {
  const propagated = context?.propagatedMetadata;
  if (propagated === undefined || propagated.isEmpty) return own;
  return own === undefined ? propagated : new Metadata(propagated).assign(own);
}
