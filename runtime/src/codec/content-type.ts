/** The content type of protobuf's binary format. */
export const protobufContentType = "application/protobuf";

/** The content type of protobuf's JSON mapping. */
export const jsonContentType = "application/json";

/** A content type without parameters, in lower case. */
export function essence(contentType: string): string {
  const semicolon = contentType.indexOf(";");
  return (semicolon < 0 ? contentType : contentType.slice(0, semicolon)).trim().toLowerCase();
}
