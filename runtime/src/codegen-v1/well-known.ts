/**
 * The codecs of messages of google/protobuf, which generated code uses instead of generating them.
 * They are separate from `codegenv1`, so that bundlers keep only those that are used.
 */
export * from "../codec/well-known.ts";
