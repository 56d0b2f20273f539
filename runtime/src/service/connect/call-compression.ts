import type { DescMessage } from "@bufbuild/protobuf";
import { compressionNegotiate, type UniversalServerResponse } from "@connectrpc/connect/protocol";
import { CallDeflation } from "../../transport/http/compression/messages.ts";
import { compressMessages, compressWhole } from "./compressed-body.ts";
import { connectCompressions } from "./connect-compressions.ts";
import { isJsonType } from "./received-body.ts";

/** Compresses the responses of a call, within what its caller accepts. */
export class CallCompression {
  readonly #minBytes: number;
  readonly #schema: DescMessage;
  #accepted: string | null = null;

  /**
   * @param minBytes messages below this size are not compressed, in bytes
   * @param schema of the responses
   */
  constructor(minBytes: number, schema: DescMessage) {
    this.#minBytes = minBytes;
    this.#schema = schema;
  }

  /** Reads the header of a request. */
  accept(header: Headers): void {
    this.#accepted = header.get("accept-encoding");
  }

  /**
   * Compresses a response with the algorithm that Connect has negotiated with the caller.
   */
  async compress(response: UniversalServerResponse): Promise<UniversalServerResponse> {
    const header = new Headers(response.header);
    const { body } = response;
    if (!isStream(body) || header.has("content-encoding")) return response;
    const isJson = isJsonType(header.get("content-type") ?? "");
    const agreed = header.get("grpc-encoding") ?? header.get("connect-content-encoding");
    if (agreed !== null) {
      const compression = connectCompressions.find(({ name }) => name === agreed);
      if (compression === undefined) return response;
      const deflation = new CallDeflation(compression, this.#schema, isJson);
      return { ...response, body: compressMessages(body, deflation, this.#minBytes) };
    }
    const length = Number(header.get("content-length"));
    if (!(length >= this.#minBytes)) return response;
    const accepted = compressionNegotiate(
      [...connectCompressions],
      null,
      this.#accepted,
      "accept-encoding",
    ).response;
    if (accepted === null) return response;
    const deflation = new CallDeflation(accepted, this.#schema, isJson);
    const sent = await compressWhole(body, header, deflation, this.#minBytes);
    return { ...response, header, body: sent };
  }
}

function isStream(body: unknown): body is AsyncIterable<Uint8Array> {
  return typeof body === "object" && body !== null && Symbol.asyncIterator in body;
}
