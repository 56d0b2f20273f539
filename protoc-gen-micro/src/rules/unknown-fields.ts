import { isMessage, type Message } from "@bufbuild/protobuf";
import type { Problems } from "./problems.ts";
import type { Element } from "./source-info.ts";

/**
 * Reports fields of an option that this version does not know, such as those of a newer
 * `micro/v1/options.proto`. Ignoring them would generate code that contradicts the schema.
 */
export function checkKnown(
  element: Element,
  rule: Message | undefined,
  path: readonly number[],
  problems: Problems,
): void {
  if (rule === undefined) return;
  for (const { no } of rule.$unknown ?? []) {
    const what = `${rule.$typeName} has a field ${no} that this version of protoc-gen-micro does not know`;
    problems.add("MICRO_OPTION_KNOWN", element, [...path, no], `${what}; update protoc-gen-micro`);
  }
  for (const value of Object.values(rule)) {
    if (isMessage(value)) checkKnown(element, value, path, problems);
  }
}
