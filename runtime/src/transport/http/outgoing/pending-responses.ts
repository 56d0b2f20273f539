import type { MicroError } from "../../../base/error.ts";
import { PendingMessages, type PendingMessagesOwner } from "../compression/pending-messages.ts";
import type { OutgoingMethod } from "./outgoing-methods.ts";
import { type InflationLimits, ResponseInflation } from "./response-inflation.ts";

/** The stream whose responses are inflated. */
export interface PendingResponsesOwner extends PendingMessagesOwner {
  readonly called: OutgoingMethod;
  readonly inflation: InflationLimits;
  /** Returns why no caller is waiting any longer; undefined while one is. */
  over(): MicroError | undefined;
}

/** The responses of a stream from the first compressed one on. */
export class PendingResponses extends PendingMessages {
  constructor(owner: PendingResponsesOwner, encoding: string) {
    const { inflation, called } = owner;
    super(owner, new ResponseInflation(inflation, called, encoding, () => owner.over()));
  }
}
