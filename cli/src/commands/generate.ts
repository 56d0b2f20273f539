import { relative, resolve } from "node:path";
import { type Command, defineCommand } from "../command.ts";
import { projectFolder } from "../project-folder.ts";
import { joined } from "../text.ts";

export const command: Command = defineCommand({
  arguments: [{ name: "folder", optional: true, help: "the project; default this folder" }],
  options: {},
  details:
    "Runs `buf generate` with the project's buf.yaml and buf.gen.yaml, or else with those of the workspace packages that it\ndepends on. Unlike buf itself, it finds packages of buf.yaml in the node_modules of parent folders too, where npm puts\nthem in a workspace, and removes code generated from deleted or renamed .proto files.",
  examples: [["micro generate", "after changing a .proto"]],
  async run({ arguments: [folder], output }) {
    const project = await projectFolder(folder);
    const short = (path: string) => relative(process.cwd(), path) || ".";
    const { schemaFolders } = await import("../buf/schema-folders.ts");
    const { generate } = await import("../buf/generate.ts");
    for (const schemas of await schemaFolders(project)) {
      output.progress("generating");
      const { outputs, removed } = await generate(schemas);
      const folders = outputs.map((out) => short(resolve(schemas, out)));
      const gone = removed.map((file) => short(resolve(schemas, file)));
      output.result({ generated: folders, removed: gone }, () =>
        joined([
          `generated in ${folders.join(", ")}`,
          ...gone.map((file) => `removed ${file}, whose .proto no longer exists`),
        ]),
      );
    }
  },
});
