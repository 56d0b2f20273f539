import { type Command, defineCommand } from "../command.ts";
import type { RunPackage } from "../run/workspace.ts";

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
    "no-watch": { type: "boolean", help: "do not restart services on changes; end when they end" },
  },
  drains: true,
  details:
    'Generates code, starts every service after its dependencies, and shows their output. A changed file restarts the\nservices that use it; a changed schema is generated first. A service is a package with a "start" script, or with\n"micro": { "run": "…" } in its package.json, which overrides it. Ctrl-C stops all, a second one kills.',
  examples: [
    ["micro run", "the service in this folder, or all of this workspace (npm, yarn or pnpm)"],
    ["micro run services/cart services/orders", "these two"],
    ["micro run --json >run.log", "one object per line: output and status"],
  ],
  async run({ arguments: folders, options, output, environment, signal, urgent }) {
    const { listenForAbort } = await import("@micro-es/runtime/driver");
    const { localRuntime } = await import("@micro-es/runtime/runtime/local");
    const { DevLoop } = await import("../run/dev-loop.ts");
    const { ReloadedFiles } = await import("../run/reloaded-files.ts");
    const { RunView } = await import("../run/run-view.ts");
    const { findWorkspace } = await import("../run/workspace.ts");
    const current = process.cwd();
    const workspace = await findWorkspace(folders, current);
    await issueDeveloperTokens(workspace.services);
    const view = new RunView(
      output,
      workspace.services.map(({ label }) => label),
    );
    await using reloaded = await ReloadedFiles.open();
    await using runtime = localRuntime();
    const loop = new DevLoop({
      workspace,
      runtime,
      view,
      reloaded,
      environment: servicesEnvironment(environment, output),
      watch: options["no-watch"] !== true,
      current,
    });
    const interrupted = new Promise<void>((resolve) => listenForAbort(signal, () => resolve()));
    listenForAbort(urgent, () => void runtime.close(0));
    const services = async () => {
      await loop.start();
      await (options["no-watch"] === true ? loop.ended() : interrupted);
    };
    await Promise.race([services(), interrupted]);
    if (signal.aborted) view.note("stopping; Ctrl-C again kills");
    await loop.close();
  },
});

/** Lets the developer call the services that ask for it in their package.json. */
async function issueDeveloperTokens(services: readonly RunPackage[]): Promise<void> {
  const { DevelopmentIssuer, developer } = await import("../auth/development-issuer.ts");
  const { unscoped } = await import("../run/package-file.ts");
  for (const { access, folder, name } of services) {
    if (!access) continue;
    const issuer = await DevelopmentIssuer.open(folder);
    await issuer.issue(developer, { audience: [unscoped(name)] });
  }
}

/** Services write to a pipe, not to the terminal that shows their lines. */
function servicesEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
  output: { readonly json: boolean; readonly coloured: boolean },
): Readonly<Record<string, string | undefined>> {
  const given = { ...environment };
  if (!output.json) given.MICRO_LOG_FORMAT ||= "text";
  if (output.coloured) given.FORCE_COLOR ||= "1";
  return given;
}
