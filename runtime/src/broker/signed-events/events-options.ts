import type { EventKey, EventKeySource } from "./event-keys.ts";
import type { EventSigner } from "./event-signature.ts";

/** How events are signed, and how subscribers verify the signatures. */
export interface EventsOptions {
  /** Signs every event that is published. Default: events are not signed. */
  readonly sign?: EventSigner;
  /**
   * Whether subscribers verify signatures. `required`: an event without a valid one is rejected.
   * `optional`: an event without a signature has no account; one with a signature that is not valid
   * is rejected. Default: signatures are not read.
   *
   * `false` lets a service with `auth` receive events of everyone who reaches the port of its
   * broker. Without a choice, such a service does not start where other machines reach the port.
   */
  readonly verify?: "required" | "optional" | false;
  /** The keys of the publishers; `verify` needs them or {@link keySource}. */
  readonly keys?: readonly EventKey[];
  /**
   * Has the keys of the publishers, which may change. It stays open when the broker is closed.
   */
  readonly keySource?: EventKeySource;
}
