import type { DescFile } from "@bufbuild/protobuf";
import type { Element } from "../rules/source-info.ts";
import type { BreakingRuleId } from "./breaking-rules.ts";

/** An option of an element, or the element itself. */
export interface Place {
  readonly element: Element;
  readonly optionPath?: readonly number[];
}

/** Something that was changed and breaks what was built before. */
export interface Change {
  readonly rule: BreakingRuleId;
  /** What it breaks, and what to do about it. */
  readonly message: string;
  /** Where the new schema has it; undefined when the new schema has not even the file. */
  readonly now: Place | undefined;
  /** Where the old schema has it. */
  readonly was: Place;
}

/** Takes what the comparisons find. */
export type ReportChange = (
  rule: BreakingRuleId,
  now: Place | DescFile | undefined,
  was: Place,
  message: string,
) => void;
