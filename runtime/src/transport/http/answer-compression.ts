import {
  type Compression,
  compressionNegotiate,
  type UniversalServerRequest,
  type UniversalServerResponse,
} from "@connectrpc/connect/protocol";
import { compressions } from "./compressions.ts";
import { compressMessages, watchMessages } from "./message-compression.ts";

/** Which messages of a call came compressed, and which may go so; both in their order. */
export class CallCompression {
  readonly #minBytes: number;
  readonly #received: boolean[] = [];
  readonly #allowed: boolean[] = [];
  #accepted: string | null = null;
  /** The request is one message that is compressed as a whole. */
  #whole = false;

  /** @param minBytes messages below this size are not worth it, in bytes */
  constructor(minBytes: number) {
    this.#minBytes = minBytes;
  }

  nextCompressed(): boolean {
    return this.#whole || this.#received.shift() === true;
  }

  mayCompress(allowed: boolean): void {
    this.#allowed.push(allowed);
  }

  /** Looks at the messages of a request, where its header says that some may be compressed. */
  watch(request: UniversalServerRequest): UniversalServerRequest {
    const { header } = request;
    this.#accepted = header.get("accept-encoding");
    this.#whole = isNamed(header.get("content-encoding"));
    const named = header.get("grpc-encoding") ?? header.get("connect-content-encoding");
    const { body } = request;
    if (!isNamed(named) || !isStream(body)) return request;
    return { ...request, body: watchMessages(body, (it) => this.#received.push(it)) };
  }

  /** Compresses what the handler has not forbidden, by what Connect has agreed with the caller on. */
  async compress(response: UniversalServerResponse): Promise<UniversalServerResponse> {
    const header = new Headers(response.header);
    const { body } = response;
    if (!isStream(body) || header.has("content-encoding")) return response;
    const agreed = header.get("grpc-encoding") ?? header.get("connect-content-encoding");
    if (agreed !== null) {
      const compression = compressions.find(({ name }) => name === agreed);
      if (compression === undefined) return response;
      const wanted = () => this.#allowed.shift() !== false;
      return { ...response, body: compressMessages(body, compression, this.#minBytes, wanted) };
    }
    const length = Number(header.get("content-length"));
    if (!(length >= this.#minBytes) || this.#allowed.shift() === false) return response;
    const accepted = compressionNegotiate(
      [...compressions],
      null,
      this.#accepted,
      "accept-encoding",
    );
    return accepted.response === null
      ? response
      : compressWhole(response, header, body, accepted.response);
  }
}

/** Compresses an answer that is one message without a prefix, as those of unary calls by Connect. */
async function compressWhole(
  response: UniversalServerResponse,
  header: Headers,
  body: AsyncIterable<Uint8Array>,
  compression: Compression,
): Promise<UniversalServerResponse> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  const compressed = await compression.compress(Buffer.concat(chunks));
  header.set("content-encoding", compression.name);
  header.set("content-length", String(compressed.length));
  return { ...response, header, body: one(compressed) };
}

async function* one(chunk: Uint8Array): AsyncGenerator<Uint8Array> {
  yield chunk;
}

function isNamed(encoding: string | null): boolean {
  return encoding !== null && encoding !== "" && encoding !== "identity";
}

function isStream(body: unknown): body is AsyncIterable<Uint8Array> {
  return typeof body === "object" && body !== null && Symbol.asyncIterator in body;
}
