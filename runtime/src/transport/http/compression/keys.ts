import { type ContextKey, contextKey } from "../../../call/call.ts";

/**
 * Whether the responses that a handler sends from now on may be compressed, if the call arrived
 * over HTTP and its caller supports compression. A handler sets it before it responds, or between
 * two messages of a stream. Turn it off for secrets, whose compressed length would reveal them when
 * other data is compressed with them, and for data that is already compressed. Default true.
 */
export const compressResponses: ContextKey<boolean> = contextKey("compress responses", true);

/** Whether the last request that a handler has read arrived compressed. */
export const requestCompressed: ContextKey<boolean> = contextKey("request compressed", false);
