import { relative } from "node:path";
import type { RunSpec, RunStatus, Runtime } from "@micro-es/runtime/runtime/local";
import { generate } from "../buf/generate.ts";
import { commandPath } from "../command-path.ts";
import { UsageError } from "../errors.ts";
import { readPackageFile } from "./package-file.ts";
import type { ReloadedFiles } from "./reloaded-files.ts";
import type { RunView } from "./run-view.ts";
import { SourceWatch } from "./source-watch.ts";
import { StartOrder } from "./start-order.ts";
import { isSchema } from "./watched-files.ts";
import type { RunPackage, Workspace } from "./workspace.ts";

/** How long a service waits until a dependency is ready, in milliseconds. */
const readyMs = 10_000;
/** The line that a Micro-ES service logs when it is ready. */
const readyText = "the server listens";

type Variables = Readonly<Record<string, string | undefined>>;

export interface DevLoopOptions {
  readonly workspace: Workspace;
  readonly runtime: Runtime;
  readonly view: RunView;
  readonly reloaded: ReloadedFiles;
  /** Variables of services in addition to those of this process. */
  readonly environment: Variables;
  /** Whether changed files restart services. */
  readonly watch: boolean;
  /** Paths are shown relative to this folder. */
  readonly current: string;
}

/** Runs the services of a workspace, and generates code and restarts services when files change. */
export class DevLoop {
  readonly #options: DevLoopOptions;
  readonly #order: StartOrder;
  readonly #readers: Promise<void>[] = [];
  #watch: SourceWatch | undefined;
  #work: Promise<void> = Promise.resolve();
  #closing = false;

  /** @throws UsageError for circular dependencies. */
  constructor(options: DevLoopOptions) {
    this.#options = options;
    this.#order = new StartOrder(options.workspace);
  }

  /**
   * Generates code, and starts every service when its dependencies are ready. Resolves when all
   * have been started.
   */
  async start(): Promise<void> {
    const { workspace, view, runtime, watch } = this.#options;
    runtime.onChange((status) => view.status(status));
    view.progress("looking at the files");
    if (watch) this.#watch = await this.#startWatch();
    for (const folder of workspace.generators) {
      await this.#generate(folder);
      await this.#watch?.changedBelow(folder);
    }
    const names = this.#order.services.map(({ label }) => label).join(", ");
    view.note(`runs ${names}; Ctrl-C stops`);
    const started = new Map<RunPackage, Promise<void>>();
    for (const service of this.#order.services) {
      const needed = this.#order.servicesBefore(service).map((it) => started.get(it));
      started.set(
        service,
        Promise.all(needed).then(() => this.#startService(service)),
      );
    }
    await Promise.all(started.values());
    if (!this.#closing) view.endProgress();
  }

  /** Resolves when every service has ended by itself; rejects if one failed. */
  async ended(): Promise<void> {
    const { runtime } = this.#options;
    await new Promise<void>((resolve) => {
      const look = async () => {
        if ((await runtime.list()).some(({ state }) => state !== "stopped")) return;
        forget();
        resolve();
      };
      const forget = runtime.onChange(() => void look());
      void look();
    });
  }

  /**
   * Stops every service before its dependencies. Resolves when all of their output has been shown.
   */
  async close(): Promise<void> {
    this.#closing = true;
    await this.#watch?.close();
    const { runtime, view } = this.#options;
    const left = new Set((await runtime.list()).map(({ name }) => name));
    const tell = () => {
      if (left.size > 0) view.progress(`waiting for ${[...left].join(", ")} to stop`);
    };
    tell();
    const stopped = new Map<RunPackage, Promise<void>>();
    for (const service of [...this.#order.services].reverse()) {
      const after = this.#order.servicesAfter(service).map((it) => stopped.get(it));
      stopped.set(
        service,
        Promise.all(after).then(async () => {
          await this.#stopService(service);
          left.delete(service.label);
          tell();
        }),
      );
    }
    await Promise.all(stopped.values());
    view.endProgress();
    await runtime.close();
    await Promise.all(this.#readers);
  }

  async #startService(service: RunPackage): Promise<void> {
    if (this.#closing) return;
    const { runtime, view } = this.#options;
    await runtime.create(this.#spec(service));
    this.#readers.push(this.#show(service));
    const waiting = this.#order.servicesAfter(service).map(({ label }) => label);
    if (waiting.length === 0) return;
    view.progress(`waiting for ${service.label} to be ready`);
    if ((await this.#isReady(service)) || this.#closing) return;
    view.note(
      `${service.label} is not ready; starting its dependents anyway: ${waiting.join(", ")}`,
    );
  }

  async #stopService({ label }: RunPackage): Promise<void> {
    const { runtime } = this.#options;
    const running = (await runtime.list()).some(({ name }) => name === label);
    if (running) await runtime.delete(label);
  }

  /** Waits until a dependency is ready; false on a timeout. */
  async #isReady({ label }: RunPackage): Promise<boolean> {
    const { runtime } = this.#options;
    return new Promise((resolve) => {
      const end = (ready: boolean) => {
        clearTimeout(timer);
        forget();
        resolve(ready);
      };
      const look = ({ name, state }: RunStatus) => {
        if (name === label && state !== "starting") end(state === "running");
      };
      const timer = setTimeout(() => end(false), readyMs);
      const forget = runtime.onChange(look);
      void runtime.read(label).then(look, () => end(false));
    });
  }

  async #show({ label }: RunPackage): Promise<void> {
    const { runtime, view } = this.#options;
    for await (const log of runtime.logs(label, { follow: true })) view.log(label, log);
  }

  #spec(service: RunPackage): RunSpec {
    const { environment, reloaded } = this.#options;
    // Only Micro-ES services log when they are ready, and it only matters if others depend on them.
    const saysSo =
      service.dependencies.includes("@micro-es/runtime") &&
      ["debug", "info", undefined, ""].includes(environment.MICRO_LOG_LEVEL);
    const isNeeded = this.#order.servicesAfter(service).length > 0;
    return {
      name: service.label,
      command: ["sh", "-c", service.command ?? ""],
      folder: service.folder,
      environment: {
        ...environment,
        ...reloaded.environmentOf(service.label),
        PATH: commandPath(environment, service.folder),
      },
      ...(saysSo && isNeeded ? { readyText } : {}),
    };
  }

  async #startWatch(): Promise<SourceWatch> {
    const { workspace, view } = this.#options;
    const folders = [...workspace.packages.map(({ folder }) => folder), ...workspace.generators];
    return SourceWatch.start({
      folders: folders.filter((it) => !folders.some((other) => isBelow(it, other))),
      commands: workspace.services.map(({ command }) => command ?? ""),
      changed: (paths) => {
        this.#work = this.#work
          .then(() => this.#apply(paths))
          .catch((reason) => this.#fail(reason));
      },
      failed: (reason) =>
        view.problem(
          `not all changes are detected: ${reason.message}; \`micro run --no-watch\` does not watch files`,
        ),
    });
  }

  /** Generates if schemas changed, and restarts the services whose code or data changed. */
  async #apply(paths: readonly string[]): Promise<void> {
    if (this.#closing) return;
    const affected = new Map<RunPackage, string>();
    const { generators } = this.#options.workspace;
    for (const path of paths) {
      const inGenerator = generators.some((folder) => isBelow(path, folder));
      if (isSchema(path) && inGenerator) continue;
      for (const service of await this.#servicesToRestart(path)) affected.set(service, path);
    }
    for (const folder of generators) {
      const [schema] = paths.filter((path) => isSchema(path) && isBelow(path, folder));
      if (schema === undefined) continue;
      const written = await this.#watch?.hold(async () =>
        (await this.#generate(folder, schema)) ? this.#watch?.changedBelow(folder) : undefined,
      );
      if (written === undefined) continue;
      for (const path of written) {
        for (const service of this.#servicesUsing(path)) affected.set(service, schema);
      }
      if (written.length === 0 && affected.size === 0) {
        this.#options.view.note(
          `${this.#shown(schema)} changed, but no generated code did; nothing restarts`,
        );
      }
    }
    if (!this.#closing) await this.#restart(affected);
  }

  async #restart(affected: ReadonlyMap<RunPackage, string>): Promise<void> {
    const { runtime, view } = this.#options;
    // A service that still waits for dependencies starts with the new code anyway.
    const created = new Set((await runtime.list()).map(({ name }) => name));
    for (const path of new Set(affected.values())) {
      const services = [...affected]
        .filter(([{ label }, why]) => why === path && created.has(label))
        .map(([it]) => it);
      if (services.length === 0) continue;
      const reason = `${this.#shown(path)} changed`;
      view.restarts(
        services.map(({ label }) => label),
        reason,
      );
      for (const service of services) {
        await this.#options.reloaded.forget(service.label);
        const now = await readPackageFile(service.folder);
        const { command } = this.#spec({ ...service, command: now?.command ?? service.command });
        // Stopping may take the grace period; further changes do not wait for it.
        runtime.update(service.label, { command }, { reason }).catch((error) => this.#fail(error));
      }
    }
  }

  /** The services that use a file, except those that reload it themselves. */
  async #servicesToRestart(path: string): Promise<readonly RunPackage[]> {
    const { reloaded, view } = this.#options;
    const found: RunPackage[] = [];
    for (const service of this.#servicesRunning(path)) {
      if (!(await reloaded.includes(service.label, path))) found.push(service);
      else view.note(`${this.#shown(path)} changed; ${service.label} reloads it without a restart`);
    }
    return found;
  }

  /** The services whose code includes this file of a library. */
  #servicesRunning(path: string): readonly RunPackage[] {
    const owner = this.#ownerOf(path);
    if (owner === undefined) return [];
    return this.#order.services.includes(owner) ? [owner] : this.#order.servicesUsing(owner);
  }

  /**
   * The services that use generated code. A service's generated code, which includes the clients,
   * is used by others too.
   */
  #servicesUsing(path: string): readonly RunPackage[] {
    const owner = this.#ownerOf(path);
    return owner === undefined ? [] : this.#order.servicesUsing(owner);
  }

  #ownerOf(path: string): RunPackage | undefined {
    const owners = this.#options.workspace.packages.filter(({ folder }) => isBelow(path, folder));
    return owners.sort((a, b) => b.folder.length - a.folder.length)[0];
  }

  /** Runs buf; false if it fails, which is shown and changes nothing. */
  async #generate(folder: string, schema?: string): Promise<boolean> {
    const { view } = this.#options;
    const where = this.#shown(folder) || ".";
    view.progress(`generating in ${where}`);
    try {
      await generate(folder);
    } catch (reason) {
      if (!(reason instanceof UsageError)) throw reason;
      view.endProgress();
      const what = schema === undefined ? "services start" : "services keep running";
      view.problem(`${reason.message}\n${what} with the code generated before`, {
        type: "generate",
        folder: where,
        ok: false,
      });
      return false;
    }
    view.endProgress();
    const why = schema === undefined ? "" : `: ${this.#shown(schema)} changed`;
    view.note(`generated in ${where}${why}`, { type: "generate", folder: where, ok: true });
    return true;
  }

  #shown(path: string): string {
    return relative(this.#options.current, path);
  }

  #fail(reason: unknown): void {
    if (this.#closing) return;
    this.#options.view.problem(reason instanceof Error ? reason.message : String(reason));
  }
}

function isBelow(path: string, folder: string): boolean {
  return path.startsWith(`${folder}/`);
}
