import { type ContextKey, contextKey } from "../../call.ts";

/**
 * Whether what a handler answers from here on may be compressed, where the call came in by HTTP and its caller reads
 * that. A handler sets it before it answers, or between two answers of a stream; for secrets, whose length must not tell
 * what stands beside them, and for what is compressed already. Default true.
 */
export const compressAnswers: ContextKey<boolean> = contextKey("compress answers", true);

/** Whether the request that a handler has read last came compressed. */
export const requestCompressed: ContextKey<boolean> = contextKey("request compressed", false);
