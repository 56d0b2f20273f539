import { readdir, readFile } from "node:fs/promises";
import { join, relative, resolve } from "node:path";
import { type Command, defineCommand, UsageError } from "../command.ts";
import { writeChange } from "../file-change.ts";
import { exists } from "../files.ts";
import { nearestFew } from "../nearest.ts";
import { builtInTemplates, ownTemplates } from "../templates/render.ts";

export const command: Command = defineCommand({
  arguments: [
    {
      name: "names",
      optional: true,
      rest: true,
      help: "such as scaffold/handler.ts, or a folder; none to list them",
    },
  ],
  options: { force: { type: "boolean", help: "over files that are there" } },
  details: `Copies built-in templates to ${ownTemplates}, where they go over the built-in ones. They are Handlebars.`,
  examples: [
    ["micro templates eject", "which templates there are"],
    ["micro templates eject scaffold/handler.ts", "a copy to change"],
    ["micro templates eject project", "all of a folder"],
  ],
  async run({ arguments: names, options, output }) {
    const all = await templateNames();
    if (names.length === 0) {
      for (const name of all) output.result({ template: name }, () => name);
      return;
    }
    for (const wanted of names) {
      const chosen = all.filter((name) => name === wanted || name.startsWith(`${wanted}/`));
      if (chosen.length === 0) {
        throw new UsageError(
          `there is no template ${wanted}; there are: ${nearestFew(wanted, all).join(", ")}`,
        );
      }
      for (const name of chosen) {
        const path = resolve(ownTemplates, `${name}.hbs`);
        if (options.force !== true && (await exists(path))) {
          throw new UsageError(`${relative(process.cwd(), path)} is there; --force writes over it`);
        }
        const text = await readFile(join(builtInTemplates, `${name}.hbs`), "utf8");
        await writeChange({ path, before: undefined, after: text });
        output.result({ template: name, path }, () => relative(process.cwd(), path));
      }
    }
  },
});

async function templateNames(): Promise<readonly string[]> {
  const files = await readdir(builtInTemplates, { recursive: true });
  return files
    .filter((file) => file.endsWith(".hbs"))
    .map((file) => file.replaceAll("\\", "/").replace(/\.hbs$/, ""))
    .sort();
}
