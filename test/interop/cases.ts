/**
 * The sizes, keys and texts that gRPC's interoperability tests prescribe
 * (doc/interop-test-descriptions.md).
 */
export const largeRequest = 271_828;
export const largeResponse = 314_159;
export const inputSizes: readonly number[] = [27_182, 8, 1_828, 45_904];
export const outputSizes: readonly number[] = [31_415, 9, 2_653, 58_979];
export const initialKey = "x-grpc-test-echo-initial";
export const initialValue = "test_initial_metadata_value";
export const trailingKey = "x-grpc-test-echo-trailing-bin";
export const trailingValue: Uint8Array = Uint8Array.of(0xab, 0xab, 0xab);
export const plainMessage = "test status message";
export const specialMessage = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n";

/** The cases that every gRPC implementation supports. */
export const coreCases = [
  "empty_unary",
  "large_unary",
  "client_streaming",
  "server_streaming",
  "ping_pong",
  "empty_stream",
  "custom_metadata",
  "status_code_and_message",
  "special_status_message",
  "unimplemented_method",
  "unimplemented_service",
  "cancel_after_begin",
  "cancel_after_first_response",
  "timeout_on_sleeping_server",
] as const;

/** The cases about messages that are compressed individually. */
export const compressionCases = [
  "client_compressed_unary",
  "server_compressed_unary",
  "client_compressed_streaming",
  "server_compressed_streaming",
] as const;

/** Asserts a fact in a case. Throws if it does not hold. */
export function expect(fact: boolean, what: string): asserts fact {
  if (!fact) throw new Error(what);
}

export function expectEqual<T>(found: T, wanted: T, what: string): void {
  expect(
    Object.is(found, wanted),
    `${what}: found ${JSON.stringify(found)}, wanted ${JSON.stringify(wanted)}`,
  );
}
