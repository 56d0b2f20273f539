import { relative, resolve } from "node:path";
import { type Command, defineCommand } from "../command.ts";
import { writeChange } from "../file-change.ts";
import { projectFolder } from "../project-folder.ts";

export const command: Command = defineCommand({
  arguments: [{ name: "folder", optional: true, help: "the project; default this folder" }],
  options: {
    out: { type: "string", value: "folder", help: "where new handlers are written; default src" },
    "dry-run": { type: "boolean", help: "write nothing, and print the difference" },
    check: { type: "boolean", help: "write nothing, and end with 1 when a method is missing" },
  },
  details:
    "Writes a class for each generated handler interface, or adds the methods that the schema has gained to the class or\nobject that implements it. Everything else in the file stays as it is, byte for byte. Methods that the schema dropped\nor changed are told, and never touched.",
  examples: [
    ["micro scaffold", "after `micro generate`"],
    ["micro scaffold --dry-run | less", "what it would do"],
  ],
  async run({ arguments: [folder], options, output }) {
    const project = await projectFolder(folder);
    const writes = options["dry-run"] !== true && options.check !== true;
    output.progress("reading handlers");
    const { planScaffold } = await import("../scaffold/plan.ts");
    const { diffOf } = await import("../scaffold/diff.ts");
    const plans = await planScaffold({ project, out: resolve(project, options.out ?? "src") });
    const short = (path: string) => relative(process.cwd(), path) || ".";
    let open = false;
    for (const { handler, missing, change, paste, differences } of plans) {
      if (change !== undefined && writes) await writeChange(change);
      open ||= paste !== undefined || (change !== undefined && options.check === true);
      const patch = change === undefined ? undefined : diffOf(change, project);
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
        const lines: string[] = [];
        if (change !== undefined && patch !== undefined) {
          const verb = change.before === undefined ? "new" : `adds ${missing.join(", ")}`;
          const line = `${short(change.path)}: ${verb}`;
          lines.push(
            writes ? line : options.check === true ? `${line} (missing)` : patch.trimEnd(),
          );
        }
        if (paste !== undefined) {
          lines.push(
            `${handler.name} lacks ${missing.join(", ")}, but it is not certain where: ${paste.why}`,
            paste.text,
          );
        }
        for (const { file, line, method, problem } of differences) {
          lines.push(output.style("yellow", `${short(file)}:${line} ${method}: ${problem}`));
        }
        return lines.join("\n");
      });
    }
    if (plans.every((plan) => plan.missing.length === 0)) output.note("every method has a handler");
    return open ? 1 : 0;
  },
});
