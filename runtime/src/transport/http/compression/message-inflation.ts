import type { DescMessage } from "@bufbuild/protobuf";
import type { MicroError } from "../../../base/error.ts";
import { checkJsonElements } from "../../../codec/json-elements.ts";
import { countMessageElements } from "../../../codec/message-elements.ts";
import { CallInflation } from "./inflation.ts";

/** The form of the messages that are inflated. */
export interface MessageForm {
  /** By which elements are counted; undefined if they cannot be, and for JSON. */
  readonly schema: DescMessage | undefined;
  readonly isJson: boolean;
}

/** Limits of what messages may inflate to. */
export interface InflatedLimits {
  /** The largest message, in bytes. */
  readonly maxBytes: number;
  /** To how many times their size the messages of a call may inflate. */
  readonly maxRatio: number;
}

/** Inflates the messages of one call in one direction, in proportion to what its peer has sent. */
export class MessageInflation {
  readonly #inflation: CallInflation;
  readonly #coding: string;
  readonly #form: MessageForm;

  /** @param over returns why no caller is waiting any longer; undefined while one is */
  constructor(
    { maxBytes, maxRatio }: InflatedLimits,
    coding: string,
    form: MessageForm,
    over: () => MicroError | undefined,
  ) {
    this.#inflation = new CallInflation(maxBytes, maxRatio, over);
    this.#coding = coding;
    this.#form = form;
  }

  /** @throws MicroError as `CallInflation` does */
  async inflate(compressed: Uint8Array): Promise<Uint8Array> {
    const bytes = await this.#inflation.inflate(this.#coding, compressed);
    countInflated(bytes, this.#form, this.#inflation);
    // Not a Buffer: the fields of a message that is read from one would be Buffers.
    return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
  }
}

/**
 * Counts the elements of an inflated message.
 *
 * @throws MicroError as `CallInflation.countElements` does
 */
export function countInflated(
  message: Uint8Array,
  { schema, isJson }: MessageForm,
  inflation: CallInflation,
): void {
  if (message.length === 0) return;
  if (isJson) inflation.countElements((most) => checkJsonElements(message, most, "a message"));
  else if (schema !== undefined) {
    inflation.countElements((most) => countMessageElements(schema, message, most));
  }
}
