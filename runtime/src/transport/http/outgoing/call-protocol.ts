import type { MicroError } from "../../../base/error.ts";
import { HeaderField } from "../../http2/hpack/header-field.ts";
import type { HeaderList } from "../../http2/hpack/header-list.ts";
import type { ResponseFields } from "./response-fields.ts";

/** Names the client. */
export const agentField: HeaderField = new HeaderField("user-agent", "micro-es");

/** A protocol by which methods are called over HTTP/2, with messages in one encoding. */
export interface CallProtocol {
  /** The fields that the headers of all requests have, after the pseudo-header fields. */
  readonly requestFields: readonly HeaderField[];
  /** The fields that name the client, unless the metadata of a call does. */
  readonly agentFields: readonly HeaderField[];
  /** The field that names how messages are compressed. */
  readonly encodingName: string;
  /** Whether each message has a prefix. Otherwise the body of a request or response is one. */
  readonly isEnveloped: boolean;
  /** The flag of the message that ends a response; 0 if HTTP's trailers do. */
  readonly endFlag: number;
  /**
   * Returns the field for the time that a call has left.
   *
   * @param ms a whole number of milliseconds, at least 1
   */
  timeoutField(ms: number): HeaderField;
  /** Reads the header of a response, or its trailers. A list that repeats is read once. */
  read(list: HeaderList): ResponseFields;
  /**
   * Returns the error of a header that does not begin a response of the protocol.
   *
   * @param status of HTTP
   */
  headerError(fields: ResponseFields, status: number): MicroError | undefined;
  /**
   * Reads the message that ends a response, or the body of a unary response that is an error.
   *
   * @param status of HTTP
   * @throws MicroError `resource_exhausted` if it has too many parts
   */
  readEnd?(bytes: Uint8Array, status: number): ResponseFields;
}
