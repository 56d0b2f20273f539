import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { UsageError } from "../errors.ts";
import { exists } from "../files.ts";

/**
 * Folder of a user's templates, relative to the project. A file with the name of a built-in one
 * overrides it.
 */
export const ownTemplates = ".micro/templates";

/** Folder of the built-in templates. */
export const builtInTemplates: string = fileURLToPath(new URL("../../templates", import.meta.url));

/**
 * Renders a template, such as `scaffold/handler.ts`: the user's if it exists, else the built-in
 * one. An unknown name in the template is an error, and nothing is escaped, because the output is
 * source code.
 *
 * @throws UsageError for a broken template of the user's, with its position.
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

/**
 * The line in Handlebars' message: in words for syntax errors, as `line:column` for unknown names.
 */
function lineOf(message: string): string {
  return /on line (\d+)/.exec(message)?.[1] ?? / - (\d+):\d+/.exec(message)?.[1] ?? "1";
}
