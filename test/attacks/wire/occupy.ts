import { setTimeout as sleep } from "node:timers/promises";
import type { Target } from "../target.ts";
import { varintField } from "./protobuf.ts";

/** How long each call occupies its place, in milliseconds. */
const holdMs = 20_000;

/** A request of `Hold`, in protobuf and in JSON. */
export const holdMessage: Buffer = varintField(15, holdMs);
export const holdJson: string = JSON.stringify({ waitMs: holdMs });

/**
 * Waits until the attack has as many calls as it gets, and checks that the calls of other
 * connections are served.
 */
export async function checkOthersAreServed(target: Target): Promise<void> {
  let inFlight = 0;
  for (let left = 100; left > 0; left--) {
    const { inFlight: now } = await target.usage();
    if (now > 500 && now === inFlight) break;
    inFlight = now;
    await sleep(100);
  }
  if (inFlight < 500) throw new Error(`only ${inFlight} calls are at work`);
  for (let call = 0; call < 10; call++) await target.ordinaryCall(8_000);
}
