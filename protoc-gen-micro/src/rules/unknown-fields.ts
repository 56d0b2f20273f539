import { isMessage, type Message } from "@bufbuild/protobuf";
import type { Problems } from "./problems.ts";
import type { Element } from "./source-info.ts";

/**
 * Reports an option that this version does not know, which a newer `micro/v1/options.proto` may have: to leave
 * it out in silence would generate something else than the schema says.
 */
export function checkKnown(
  element: Element,
  rule: Message | undefined,
  path: readonly number[],
  problems: Problems,
): void {
  if (rule === undefined) return;
  for (const { no } of rule.$unknown ?? []) {
    const what = `${rule.$typeName} has a field ${no} that this protoc-gen-micro does not know`;
    problems.add("MICRO_OPTION_KNOWN", element, [...path, no], `${what}; update protoc-gen-micro`);
  }
  for (const value of Object.values(rule)) {
    if (isMessage(value)) checkKnown(element, value, path, problems);
  }
}
