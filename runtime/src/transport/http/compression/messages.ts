import type { DescMessage } from "@bufbuild/protobuf";
import { isMicroError } from "../../../base/error.ts";
import { checkJsonElements } from "../../../codec/json-elements.ts";
import { countMessageElements, elementsUpTo } from "../../../codec/message-elements.ts";
import type { Compression } from "./algorithms.ts";
import { InflationAllowance } from "./inflation.ts";

/**
 * Compresses the messages of one call, except for those that a receiver with default limits would
 * reject as an attack.
 */
export class CallDeflation {
  readonly compression: Compression;
  readonly #schema: DescMessage | undefined;
  readonly #isJson: boolean;
  readonly #allowance = new InflationAllowance();

  /** @param schema of the messages, if they have one and are not JSON */
  constructor(compression: Compression, schema: DescMessage | undefined, isJson: boolean) {
    this.compression = compression;
    this.#schema = schema;
    this.#isJson = isJson;
  }

  /** @returns undefined if the message must be sent uncompressed */
  async compress(message: Uint8Array): Promise<Uint8Array | undefined> {
    const compressed = await this.compression.compress(message);
    if (message.length > this.#allowance.mostBytes(compressed.length)) return undefined;
    const elements = this.#elements(message, compressed.length);
    if (elements === undefined) return undefined;
    this.#allowance.use(compressed.length, message.length);
    this.#allowance.useElements(elements);
    return compressed;
  }

  /**
   * Returns an upper bound of the message's elements; undefined if it exceeds what its receiver
   * allows.
   */
  #elements(message: Uint8Array, compressedBytes: number): number | undefined {
    const most = this.#allowance.mostElements(compressedBytes);
    const bound = this.#isJson ? message.length : elementsUpTo(this.#schema, message.length);
    // It cannot reduce the allowance of later messages.
    if (bound <= InflationAllowance.elementsOf(compressedBytes)) return bound;
    try {
      if (this.#isJson) return checkJsonElements(message, most, "a message");
      if (this.#schema !== undefined) return countMessageElements(this.#schema, message, most);
    } catch (reason) {
      // The receiver reports what is wrong with an invalid message.
      if (isMicroError(reason)) return undefined;
      throw reason;
    }
    return bound <= most ? bound : undefined;
  }
}
