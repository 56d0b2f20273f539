/**
 * The formats that work from descriptors, codec lookup by name, and error details. They have an
 * entry point of their own because they load protobuf-es, which takes longer than the rest of the
 * runtime.
 */
export { errorDetail, findDetails } from "./error-detail.ts";
export { loadDescriptors } from "./file-descriptors.ts";
export { type JsonFormatOptions, jsonFormat, jsonFormatWith } from "./json.ts";
export { protobufCodec, protobufFormat } from "./protobuf.ts";
export { CodecRegistry } from "./registry.ts";
