import type { DescFile } from "@bufbuild/protobuf";
import { serviceOption } from "../rules/read.ts";
import { fileOf } from "../rules/source-info.ts";
import type { Change, ReportChange } from "./changes.ts";
import { compareRpcs } from "./methods.ts";
import { readSide, type SchemaSide } from "./schema-side.ts";
import { compareTopics } from "./topics.ts";

const NAME = 1;

/**
 * Finds changes that break callers, subscribers and handlers built with the old schema.
 *
 * @param against the old schema
 * @param files the new one
 * @param concerns whether to compare a file of the old schema
 */
export function compareSchemas(
  against: readonly DescFile[],
  files: readonly DescFile[],
  concerns: (file: DescFile) => boolean,
): readonly Change[] {
  const changes: Change[] = [];
  const report: ReportChange = (rule, now, was, message) => {
    const place = now !== undefined && "kind" in now ? { element: now } : now;
    changes.push({ rule, now: place, was, message });
  };
  const [was, now] = [readSide(against), readSide(files)];
  compareServices(was, now, concerns, report);
  compareRpcs(was, now, ({ desc }) => concerns(fileOf(desc)), report);
  compareTopics(was, now, ({ message }) => concerns(message.file), report);
  return changes;
}

function compareServices(
  was: SchemaSide,
  now: SchemaSide,
  concerns: (file: DescFile) => boolean,
  report: ReportChange,
): void {
  for (const [typeName, old] of was.services) {
    const current = now.services.get(typeName);
    if (current === undefined || !concerns(old.desc.file)) continue;
    if (current.registryName === old.registryName) continue;
    const optionPath = [...serviceOption, NAME];
    report(
      "MICRO_SERVICE_SAME_NAME",
      { element: current.desc, optionPath },
      { element: old.desc, optionPath },
      `the service was registered as ${old.registryName} and is now ${current.registryName}; existing callers cannot find it: set micro.v1.service.name to the old name`,
    );
  }
}
