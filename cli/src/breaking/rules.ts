/** Rules of buf to check; those for the micro.v1 options and topics are always checked. */
export interface RuleChoice {
  readonly use: readonly string[];
  readonly except: readonly string[];
}

/**
 * Changes that are not allowed while both versions run: of the bytes and the JSON of messages, and
 * deletions of services and rpcs, for which `WIRE_JSON` has no rule.
 */
export const defaultRules: readonly string[] = [
  "WIRE_JSON",
  "PACKAGE_SERVICE_NO_DELETE",
  "RPC_NO_DELETE",
];
