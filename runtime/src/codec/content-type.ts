/** The content type of protobuf's binary format. */
export const protobufContentType = "application/protobuf";
