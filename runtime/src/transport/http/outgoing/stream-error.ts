import { type Deadline, remainingMs } from "../../../base/deadline.ts";
import { MicroError } from "../../../base/error.ts";
import { deadlineExceeded } from "../../../call/call.ts";
import { connectionLost, undecodableResponse } from "../../call-errors.ts";
import { errorCode, errorName } from "../../http2/error-code.ts";
import { deadlineSkewMs } from "../deadline-skew.ts";

/** The call whose stream ended. */
interface EndedCall {
  readonly name: string;
  readonly deadline: Deadline;
}

/**
 * Returns the error of a stream that the server has reset.
 *
 * @param hasHead whether the header of the response had arrived
 */
export function resetError(
  { name, deadline }: EndedCall,
  code: number,
  hasHead: boolean,
): MicroError {
  if (code === errorCode.cancel) {
    // A server whose clock is slightly ahead cancels the call before its deadline passes here.
    if (remainingMs(deadline) <= deadlineSkewMs) return deadlineExceeded(name);
    return new MicroError("canceled", `${name} was cancelled by the other side`);
  }
  if (hasHead) {
    return new MicroError("internal", `the response of ${name} ended with ${errorName(code)}`);
  }
  if (code === errorCode.refusedStream) {
    const why = new MicroError("unavailable", "the other side refused it unseen");
    return connectionLost(name, why, "not-executed");
  }
  const what =
    code === errorCode.noError
      ? "the other side closed the stream without a response"
      : `the other side closed the stream with ${errorName(code)}`;
  return connectionLost(name, new MicroError("unavailable", what), "unknown");
}

/**
 * Returns the error of a stream that was reset here, because of what the server sent.
 *
 * @param hasHead whether the header of the response had arrived
 */
export function violationError({ name }: EndedCall, code: number, hasHead: boolean): MicroError {
  if (code === errorCode.enhanceYourCalm) {
    const what = "its header or trailers are too large";
    return undecodableResponse(new MicroError("resource_exhausted", what), name);
  }
  const what = `it violates HTTP/2 (${errorName(code)})`;
  if (hasHead) return undecodableResponse(what, name);
  return connectionLost(
    name,
    new MicroError("unavailable", `the response cannot be read: ${what}`),
    "unknown",
  );
}
