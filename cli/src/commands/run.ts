import { type Command, defineCommand } from "../command.ts";

export const command: Command = defineCommand({
  arguments: [
    {
      name: "folder",
      optional: true,
      rest: true,
      help: "a service, or a workspace of services; default this folder",
    },
  ],
  options: {
    "no-watch": { type: "boolean", help: "leave services alone when files change; end with them" },
  },
  drains: true,
  details:
    'Generates code, starts every service when those it depends on are ready, and shows what they write. A changed file restarts the\nservices that use it; a changed schema is generated first. A service is a package with a "start" script, or with\n"micro": { "run": "…" } in its package.json, which goes over it. Ctrl-C stops all, a second one kills.',
  examples: [
    ["micro run", "the service in this folder, or all of this npm workspace"],
    ["micro run services/cart services/orders", "these two"],
    ["micro run --json >run.log", "an object a line: what they write, and what happens to them"],
  ],
  async run({ arguments: folders, options, output, environment, signal, urgent }) {
    const { localRuntime } = await import("@micro-es/runtime/runtime/local");
    const { DevLoop } = await import("../run/dev-loop.ts");
    const { RunView } = await import("../run/run-view.ts");
    const { findWorkspace } = await import("../run/workspace.ts");
    const current = process.cwd();
    const workspace = await findWorkspace(folders, current);
    const view = new RunView(
      output,
      workspace.services.map(({ label }) => label),
    );
    await using runtime = localRuntime();
    const loop = new DevLoop({
      workspace,
      runtime,
      view,
      environment: servicesEnvironment(environment, output),
      watch: options["no-watch"] !== true,
      current,
    });
    const interrupted = new Promise<void>((resolve) => {
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
    urgent.addEventListener("abort", () => void runtime.close(0), { once: true });
    const services = async () => {
      await loop.start();
      await (options["no-watch"] === true ? loop.ended() : interrupted);
    };
    await Promise.race([services(), interrupted]);
    if (signal.aborted) view.note("stops all; Ctrl-C again kills");
    await loop.close();
  },
});

/** A service sees a pipe, and not the terminal that its lines are shown on. */
function servicesEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
  output: { readonly json: boolean; readonly coloured: boolean },
): Readonly<Record<string, string | undefined>> {
  const given = { ...environment };
  if (!output.json) given.MICRO_LOG_FORMAT ||= "text";
  if (output.coloured) given.FORCE_COLOR ||= "1";
  return given;
}
