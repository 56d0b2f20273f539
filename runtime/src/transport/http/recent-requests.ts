import type { HeaderField } from "../http2/hpack/header-field.ts";
import type { RpcProtocol } from "./call-forms.ts";
import { connectTimeoutMs } from "./connect/connect-request.ts";
import { grpcTimeoutMs } from "./grpc/grpc-request.ts";

/** Requests that a connection remembers, each of another path. */
const mostRequests = 8;
/** The fields of a request that is remembered, as HTTP/2 counts them, in bytes. */
const maxBytes = 2_048;

/** What a request that is remembered must state. */
interface TimedRequest {
  readonly protocol: RpcProtocol;
  readonly timeoutMs: number;
}

interface Recent<R extends TimedRequest> {
  fields: readonly HeaderField[];
  readonly request: R;
  /** The place of the timeout; -1 if there is none. */
  readonly timeoutAt: number;
}

/**
 * Remembers what the last requests of a connection were read to. Those of one caller usually differ
 * in their timeout alone, as all those of grpc-go do.
 */
export class RecentRequests<R extends TimedRequest> {
  readonly #byPath = new Map<string, Recent<R>>();

  /** Returns the request that has these fields, if it can be told from an earlier one. */
  find(path: string, fields: readonly HeaderField[]): R | undefined {
    const recent = this.#byPath.get(path);
    if (recent === undefined || !isAlike(recent, fields)) return undefined;
    const { request, timeoutAt } = recent;
    // Most fields are in HPACK's table, so that the next comparison is one of references.
    recent.fields = fields;
    if (timeoutAt < 0) return request;
    const timeoutMs = timeoutOf(request.protocol, fields[timeoutAt]!.value);
    return timeoutMs < 0 ? undefined : { ...request, timeoutMs };
  }

  add(path: string, fields: readonly HeaderField[], request: R): void {
    let bytes = 0;
    let timeoutAt = -1;
    const timeoutName = timeoutNames[request.protocol];
    for (const [place, { name, size }] of fields.entries()) {
      bytes += size;
      if (name !== timeoutName) continue;
      // A timeout that is stated twice is read as one.
      if (timeoutAt >= 0) return;
      timeoutAt = place;
    }
    if (bytes > maxBytes) return;
    if (this.#byPath.size >= mostRequests) this.#byPath.clear();
    this.#byPath.set(path, { fields, request, timeoutAt });
  }
}

const timeoutNames: Readonly<Record<RpcProtocol, string>> = {
  connect: "connect-timeout-ms",
  grpc: "grpc-timeout",
  grpcWeb: "grpc-timeout",
};

function timeoutOf(protocol: RpcProtocol, text: string): number {
  return protocol === "connect" ? connectTimeoutMs(text) : grpcTimeoutMs(text);
}

/** Whether fields are those of an earlier request, but for the value of the timeout. */
function isAlike(
  { fields: known, timeoutAt }: Pick<Recent<TimedRequest>, "fields" | "timeoutAt">,
  fields: readonly HeaderField[],
): boolean {
  if (known.length !== fields.length) return false;
  for (let place = 0; place < fields.length; place++) {
    const field = fields[place]!;
    const other = known[place]!;
    if (field === other) continue;
    if (field.name !== other.name) return false;
    if (place !== timeoutAt && field.value !== other.value) return false;
  }
  return true;
}
