/** How messages are encoded: in protobuf's binary format, or as JSON. */
export type Encoding = "binary" | "json";
