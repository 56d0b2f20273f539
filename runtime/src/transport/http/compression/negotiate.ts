import type { DescMessage } from "@bufbuild/protobuf";
import { compressionNegotiate, type UniversalServerResponse } from "@connectrpc/connect/protocol";
import { isJsonType } from "../received-body.ts";
import { connectCompressions } from "./connect-compressions.ts";
import { CallDeflation, compressMessages, compressWhole } from "./messages.ts";

/**
 * Tracks which request messages of a call arrived compressed, and which responses may be
 * compressed, both in order.
 */
export class CallCompression {
  readonly #minBytes: number;
  readonly #schema: DescMessage | undefined;
  readonly #received: boolean[] = [];
  readonly #allowed: boolean[] = [];
  #accepted: string | null = null;
  /** The request is a single message, compressed as a whole. */
  #whole = false;

  /**
   * @param minBytes messages below this size are not compressed, in bytes
   * @param schema of the responses, if known
   */
  constructor(minBytes: number, schema: DescMessage | undefined) {
    this.#minBytes = minBytes;
    this.#schema = schema;
  }

  nextCompressed(): boolean {
    return this.#whole || this.#received.shift() === true;
  }

  mayCompress(allowed: boolean): void {
    this.#allowed.push(allowed);
  }

  /**
   * Reads the header of a request. Returns a function to be called for each message of the body
   * with whether it is compressed; undefined if none can be.
   */
  watch(header: Headers): ((compressed: boolean) => void) | undefined {
    this.#accepted = header.get("accept-encoding");
    this.#whole = isNamed(header.get("content-encoding"));
    const named = header.get("grpc-encoding") ?? header.get("connect-content-encoding");
    return isNamed(named) ? (compressed) => this.#received.push(compressed) : undefined;
  }

  /**
   * Compresses what the handler permits, with the algorithm that Connect has negotiated with the
   * caller.
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
      const wanted = () => this.#allowed.shift() !== false;
      return { ...response, body: compressMessages(body, deflation, this.#minBytes, wanted) };
    }
    const length = Number(header.get("content-length"));
    if (!(length >= this.#minBytes) || this.#allowed.shift() === false) return response;
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

function isNamed(encoding: string | null): boolean {
  return encoding !== null && encoding !== "" && encoding !== "identity";
}

function isStream(body: unknown): body is AsyncIterable<Uint8Array> {
  return typeof body === "object" && body !== null && Symbol.asyncIterator in body;
}
