import { relative, resolve } from "node:path";
import { type Command, defineCommand } from "../command.ts";
import { writeChange } from "../file-change.ts";
import { projectFolder } from "../project-folder.ts";
import { joined, lines, styled, type Text } from "../text.ts";

export const command: Command = defineCommand({
  arguments: [{ name: "folder", optional: true, help: "the project; default this folder" }],
  options: {
    out: { type: "string", value: "folder", help: "folder of new handlers; default src" },
    "dry-run": { type: "boolean", help: "write nothing and print a diff" },
    check: { type: "boolean", help: "write nothing and exit with 1 if a method is missing" },
  },
  details:
    "Writes a class for each generated handler interface, or adds new methods of the schema to the class or object that\nimplements it. Everything else in the file is unchanged. Methods that the schema dropped or changed are reported and\nnever changed. TypeScript finds what implements an interface or is passed to registerXHandler, in other packages of\nthe workspace too.",
  examples: [
    ["micro scaffold", "after `micro generate`"],
    ["micro scaffold --dry-run | less", "preview the changes"],
  ],
  async run({ arguments: [folder], options, output }) {
    const project = await projectFolder(folder);
    const writes = options["dry-run"] !== true && options.check !== true;
    output.progress("reading handlers");
    const { planScaffold } = await import("../scaffold/plan.ts");
    const { diffOf } = await import("../scaffold/diff.ts");
    const plans = await planScaffold({ project, out: resolve(project, options.out ?? "src") });
    const short = (path: string) => relative(process.cwd(), path) || ".";
    const { workspaceAround } = await import("../run/workspace.ts");
    // git refuses a patch with paths above the folder in which it is applied.
    const isInside = plans.every(
      ({ change }) => !relative(project, change?.path ?? project).startsWith(".."),
    );
    const patched = isInside ? project : ((await workspaceAround(project))?.root.folder ?? project);
    let open = false;
    for (const { handler, missing, change, paste, differences } of plans) {
      if (change !== undefined && writes) await writeChange(change);
      open ||= paste !== undefined || (change !== undefined && options.check === true);
      const patch = change === undefined ? undefined : diffOf(change, patched);
      const result = {
        handler: handler.name,
        missing,
        file: change === undefined ? undefined : short(change.path),
        written: change !== undefined && writes,
        ...(paste === undefined ? {} : { paste }),
        ...(writes ? {} : { patch }),
        differences,
      };
      output.result(result, () => {
        const shown: Text[] = [];
        if (change !== undefined && patch !== undefined) {
          const verb = change.before === undefined ? "new" : `adds ${missing.join(", ")}`;
          const line = `${short(change.path)}: ${verb}`;
          shown.push(
            writes ? line : options.check === true ? `${line} (missing)` : lines(patch.trimEnd()),
          );
        }
        if (paste !== undefined) {
          shown.push(
            `${handler.name} lacks ${missing.join(", ")}, but it is not certain where: ${paste.why}`,
            lines(paste.text),
          );
        }
        for (const { file, line, method, problem } of differences) {
          shown.push(styled("yellow", `${short(file)}:${line} ${method}: ${problem}`));
        }
        return joined(shown);
      });
    }
    if (plans.length === 0) output.note("no handler here implements a service of the workspace");
    else if (plans.every(({ missing }) => missing.length === 0))
      output.note("every method has a handler");
    return open ? 1 : 0;
  },
});
