/**
 * The functions that generated code calls for codecs that work from a descriptor. They are separate
 * from `codegenv1`, so that programs with only generated codecs do not load the half of protobuf-es
 * that these need.
 */
export { protobufCodec as codec } from "../codec/protobuf.ts";
export { reflectCodec } from "../codec/wire/reflect-codec.ts";
