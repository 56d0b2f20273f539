/**
 * What generated code calls for the codecs that work from a descriptor. It stands beside `codegenv1` so that
 * programs whose codecs are all generated do not load the half of protobuf-es that these need.
 */
export { protobufCodec as codec } from "./codec/protobuf.ts";
export { reflectCodec } from "./codec/wire/reflect-codec.ts";
