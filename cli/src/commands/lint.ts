import { type Command, defineCommand } from "../command.ts";
import { projectFolder } from "../project-folder.ts";

export const command: Command = defineCommand({
  arguments: [{ name: "folder", optional: true, help: "the project; default this folder" }],
  options: {},
  details:
    "Runs `buf lint`, by the rules of the project's buf.yaml; buf-plugin-micro there has those for the micro.v1 options. The exit\ncode is 1 when something is found.",
  examples: [["micro lint", "style of the schema, and wrong use of its options"]],
  async run({ arguments: [folder], output }) {
    output.progress("looking at the schema");
    const { runBuf } = await import("../buf/run-buf.ts");
    const found = await runBuf(["lint"], await projectFolder(folder));
    for (const line of found) output.result({ problem: line }, () => line);
    if (found.length === 0) output.note("nothing is found");
    return found.length > 0 ? 1 : 0;
  },
});
