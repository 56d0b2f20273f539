import { readdir, readFile } from "node:fs/promises";
import { join, relative, resolve } from "node:path";
import { type Command, defineCommand } from "../command.ts";
import { UsageError } from "../errors.ts";
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
  options: { force: { type: "boolean", help: "overwrite existing files" } },
  details: `Copies built-in templates to ${ownTemplates}, where they override the built-in ones. They are Handlebars templates.`,
  examples: [
    ["micro templates eject", "list the templates"],
    ["micro templates eject scaffold/handler.ts", "copy a template to change it"],
    ["micro templates eject project", "copy all of a folder"],
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
          throw new UsageError(`${relative(process.cwd(), path)} exists; --force overwrites it`);
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
