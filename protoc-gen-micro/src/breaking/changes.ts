import type { DescFile } from "@bufbuild/protobuf";
import type { Element } from "../rules/source-info.ts";
import type { BreakingRuleId } from "./breaking-rules.ts";

/** An option of an element, or the element itself. */
export interface Place {
  readonly element: Element;
  readonly optionPath?: readonly number[];
}

/** A breaking change. */
export interface Change {
  readonly rule: BreakingRuleId;
  /** What it breaks and how to avoid that. */
  readonly message: string;
  /** The position in the new schema; undefined if the new schema does not have the file. */
  readonly now: Place | undefined;
  /** The position in the old schema. */
  readonly was: Place;
}

/** Receives the breaking changes that a comparison finds. */
export type ReportChange = (
  rule: BreakingRuleId,
  now: Place | DescFile | undefined,
  was: Place,
  message: string,
) => void;
