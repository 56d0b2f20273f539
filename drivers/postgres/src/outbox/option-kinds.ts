import {
  countUpTo,
  durationMs,
  logger,
  type OptionKindsOf,
  part,
  required,
} from "@micro-es/runtime/driver";
import type { OutboxRelayOptions } from "./relay.ts";

export const relayKinds: OptionKindsOf<OutboxRelayOptions> = {
  broker: required(part("a Broker", "service.broker", "publish")),
  batchSize: countUpTo(10_000),
  maxInFlight: countUpTo(10_000),
  publishTimeoutMs: durationMs(100),
  maxAttempts: countUpTo(1_000_000),
  logger,
};
