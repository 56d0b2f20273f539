/** Which rules of buf are asked; those about the micro.v1 options and topics always are. */
export interface RuleChoice {
  readonly use: readonly string[];
  readonly except: readonly string[];
}

/**
 * What may not change while both run: the bytes and the JSON of messages, and that there is what is called. `WIRE_JSON` has
 * no rule for the latter.
 */
export const defaultRules: readonly string[] = [
  "WIRE_JSON",
  "PACKAGE_SERVICE_NO_DELETE",
  "RPC_NO_DELETE",
];
