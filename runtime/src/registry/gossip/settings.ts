import type { PartLogger } from "../../base/part-logger.ts";
import type { AllowAddress } from "../link-address.ts";
import type { RegistryGuarantees } from "../registry.ts";
import type { Seed } from "./seeds.ts";
import type { GossipTiming } from "./timing.ts";

/** The options of a gossip registry, validated and with defaults applied. */
export interface GossipSettings {
  readonly seeds: readonly Seed[];
  /** The IP address to listen on. */
  readonly host: string;
  readonly port: number;
  /** Whether another port will do. */
  readonly anyPort: boolean;
  /** Where others reach this member, if not where it listens. */
  readonly advertise: string | undefined;
  readonly keys: readonly string[];
  /** The file that the keys come from, and are read from again. */
  readonly keyFile: string | undefined;
  readonly timing: GossipTiming;
  readonly joinTimeoutMs: number;
  readonly allowAddress: AllowAddress;
  readonly logger: PartLogger;
}

export const gossipGuarantees: RegistryGuarantees = {
  reach: "backend",
  consistency: "eventual",
  liveness: "lease",
  registers: true,
};
