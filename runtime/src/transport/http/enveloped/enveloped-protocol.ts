import type { MicroError } from "../../../base/error.ts";
import type { Metadata } from "../../../base/metadata.ts";
import { HeaderField } from "../../http2/hpack/header-field.ts";
import { HeaderTemplate } from "../../http2/hpack/header-template.ts";
import type { CallStream } from "../call-stream.ts";

/** How a protocol writes what surrounds the enveloped messages of a response. */
export abstract class EnvelopedProtocol {
  readonly #fields: readonly HeaderField[];
  readonly #codingName: string;
  readonly #head: HeaderTemplate;
  /** The header of responses whose messages may be compressed, by the name of the coding. */
  readonly #compressedHeads = new Map<string, HeaderTemplate>();

  /**
   * @param contentType of responses
   * @param codingName name of the header line that names the coding of compressed messages
   */
  constructor(contentType: string, codingName: string) {
    this.#fields = [
      new HeaderField(":status", "200"),
      new HeaderField("content-type", contentType),
    ];
    this.#codingName = codingName;
    this.#head = new HeaderTemplate(this.#fields);
  }

  /** Ends a response, after its header and its messages. */
  abstract end(
    stream: CallStream,
    error: MicroError | undefined,
    trailers: Metadata | undefined,
  ): void;

  /**
   * The fields of a failed call's response that consists of a header alone; undefined if the
   * protocol has no such responses.
   */
  abstract failureFields(
    error: MicroError,
    trailers: Metadata | undefined,
  ): HeaderField[] | undefined;

  /**
   * The header of a response.
   *
   * @param coding of messages that are compressed, if some may be
   */
  head(coding: string | undefined): HeaderTemplate {
    if (coding === undefined) return this.#head;
    let head = this.#compressedHeads.get(coding);
    if (head === undefined) {
      head = new HeaderTemplate([...this.#fields, new HeaderField(this.#codingName, coding)]);
      this.#compressedHeads.set(coding, head);
    }
    return head;
  }
}
