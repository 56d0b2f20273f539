import type { EventKey } from "./event-keys.ts";
import type { EventSigner } from "./event-signature.ts";

/** How events are signed, and how subscribers verify the signatures. */
export interface EventsOptions {
  /** Signs every event that is published. Default: events are not signed. */
  readonly sign?: EventSigner;
  /**
   * Whether subscribers verify signatures. `required`: an event without a valid one is rejected.
   * `optional`: an event without a signature has no account; one with a signature that is not valid
   * is rejected. Default: signatures are not read.
   */
  readonly verify?: "required" | "optional";
  /** The keys of the publishers; needed for `verify`. */
  readonly keys?: readonly EventKey[];
}
