import type { PartLogger } from "../../base/part-logger.ts";
import type { AllowAddress } from "../link-address.ts";
import type { RegistryGuarantees } from "../registry.ts";

/** The options of an mDNS registry, validated and with defaults applied. */
export interface MulticastSettings {
  readonly domain: string;
  readonly group: string;
  readonly port: number;
  readonly interface: string | undefined;
  readonly timeoutMs: number;
  readonly peerTtlMs: number;
  readonly maxServices: number;
  readonly allowAddress: AllowAddress;
  readonly logger: PartLogger;
}

export const mdnsGuarantees: RegistryGuarantees = {
  registers: true,
  reach: "link",
  consistency: "eventual",
  liveness: "lease",
};
