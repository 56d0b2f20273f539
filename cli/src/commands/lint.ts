import { type Command, defineCommand } from "../command.ts";
import { projectFolder } from "../project-folder.ts";

export const command: Command = defineCommand({
  arguments: [{ name: "folder", optional: true, help: "the project; default this folder" }],
  options: {},
  details:
    "Runs `buf lint` with the rules of the project's buf.yaml; buf-plugin-micro has those for the micro.v1 options. The exit\ncode is 1 if there are findings.",
  examples: [["micro lint", "check the style of the schema and the use of options"]],
  async run({ arguments: [folder], output }) {
    output.progress("checking the schema");
    const { runBuf } = await import("../buf/run-buf.ts");
    const found = await runBuf(["lint"], await projectFolder(folder));
    for (const line of found) output.result({ problem: line }, () => line);
    if (found.length === 0) output.note("no findings");
    return found.length > 0 ? 1 : 0;
  },
});
