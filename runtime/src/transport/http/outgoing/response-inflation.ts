import type { MicroError } from "../../../base/error.ts";
import { checkJsonElements } from "../../../codec/json-elements.ts";
import { countMessageElements } from "../../../codec/message-elements.ts";
import { CallInflation } from "../compression/inflation.ts";
import type { OutgoingMethod } from "./outgoing-methods.ts";

/** Limits of what may be inflated. */
export interface InflationLimits {
  /** The largest response, in bytes. */
  readonly maxResponseBytes: number;
  /** To how many times their size compressed responses may inflate. */
  readonly maxInflationRatio: number;
}

/** Inflates the responses of one call, in proportion to what the server has sent. */
export class ResponseInflation {
  readonly #inflation: CallInflation;
  readonly #called: OutgoingMethod;
  readonly #encoding: string;

  /** @param over returns why no caller is waiting any longer; undefined while one is */
  constructor(
    { maxResponseBytes, maxInflationRatio }: InflationLimits,
    called: OutgoingMethod,
    encoding: string,
    over: () => MicroError | undefined,
  ) {
    this.#inflation = new CallInflation(maxResponseBytes, maxInflationRatio, over);
    this.#called = called;
    this.#encoding = encoding;
  }

  /** @throws MicroError as `CallInflation` does */
  async inflate(compressed: Uint8Array): Promise<Uint8Array> {
    const bytes = await this.#inflation.inflate(this.#encoding, compressed);
    const { responseSchema, isJson } = this.#called;
    if (isJson) {
      this.#inflation.countElements((most) => checkJsonElements(bytes, most, "a message"));
    } else if (responseSchema !== undefined && bytes.length > 0) {
      this.#inflation.countElements((most) => countMessageElements(responseSchema, bytes, most));
    }
    // Not a Buffer: the fields of a message that is read from one would be Buffers.
    return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
  }
}
