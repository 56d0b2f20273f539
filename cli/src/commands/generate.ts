import { relative, resolve } from "node:path";
import { type Command, defineCommand } from "../command.ts";
import { projectFolder } from "../project-folder.ts";

export const command: Command = defineCommand({
  arguments: [{ name: "folder", optional: true, help: "the project; default this folder" }],
  options: {},
  details:
    "Runs `buf generate`, by the project's buf.yaml and buf.gen.yaml. Unlike buf itself it finds packages that buf.yaml names in the\nnode_modules of folders above too, which is where npm puts them in a workspace.",
  examples: [["micro generate", "after a change of a .proto"]],
  async run({ arguments: [folder], output }) {
    const project = await projectFolder(folder);
    output.progress("generating");
    const { outputFolders } = await import("../check/generated.ts");
    const { runBuf } = await import("../buf/run-buf.ts");
    const outputs = await outputFolders(project);
    await runBuf(["generate"], project);
    const folders = outputs.map((out) => relative(process.cwd(), resolve(project, out)) || ".");
    output.result({ generated: folders }, () => `generated in ${folders.join(", ")}`);
  },
});
