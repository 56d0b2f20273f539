import type { MicroError } from "../../../base/error.ts";
import { MessageInflation } from "../compression/message-inflation.ts";
import type { OutgoingMethod } from "./outgoing-methods.ts";

/** Limits of what may be inflated. */
export interface InflationLimits {
  /** The largest response, in bytes. */
  readonly maxResponseBytes: number;
  /** To how many times their size compressed responses may inflate. */
  readonly maxInflationRatio: number;
}

/** Inflates the responses of one call. */
export class ResponseInflation extends MessageInflation {
  /** @param over returns why no caller is waiting any longer; undefined while one is */
  constructor(
    { maxResponseBytes, maxInflationRatio }: InflationLimits,
    { responseSchema, isJson }: OutgoingMethod,
    encoding: string,
    over: () => MicroError | undefined,
  ) {
    const limits = { maxBytes: maxResponseBytes, maxRatio: maxInflationRatio };
    super(limits, encoding, { schema: responseSchema, isJson }, over);
  }
}
