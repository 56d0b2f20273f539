import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { UsageError } from "../command.ts";
import { exists } from "../files.ts";

/** Where a user's own templates are, seen from the project. A file of a built-in one's name goes over it. */
export const ownTemplates = ".micro/templates";

/** Where the built-in ones are. */
export const builtInTemplates: string = fileURLToPath(new URL("../../templates", import.meta.url));

/**
 * Renders the template of this name, such as `scaffold/handler.ts`: the user's where there is one, else the built-in.
 * A name that the model does not have is an error, and nothing is escaped: what comes out is source code.
 *
 * @throws UsageError for a template of the user's that is broken, with its place.
 */
export async function render(name: string, model: object, project: string): Promise<string> {
  const own = join(project, ownTemplates, `${name}.hbs`);
  const path = (await exists(own)) ? own : join(builtInTemplates, `${name}.hbs`);
  const text = await readFile(path, "utf8");
  const { default: handlebars } = await import("handlebars");
  try {
    const template = handlebars.create().compile(text, {
      noEscape: true,
      strict: true,
      knownHelpersOnly: true,
    });
    return template(model, { allowProtoPropertiesByDefault: false });
  } catch (reason) {
    const { message } = reason as Error;
    throw new UsageError(`${path}:${lineOf(message)}: the template is broken: ${message}`);
  }
}

/** The line that Handlebars names: of what it cannot parse in words, of a name that the model lacks as `line:column`. */
function lineOf(message: string): string {
  return /on line (\d+)/.exec(message)?.[1] ?? / - (\d+):\d+/.exec(message)?.[1] ?? "1";
}
