/**
 * The formats that work from descriptors, with what finds a codec by name. They are an entry of their own because
 * they bring protobuf-es with them, which takes longer to load than the rest of the runtime.
 */
export { type JsonFormatOptions, jsonFormat, jsonFormatWith } from "./json.ts";
export { protobufCodec, protobufFormat } from "./protobuf.ts";
export { CodecRegistry } from "./registry.ts";
