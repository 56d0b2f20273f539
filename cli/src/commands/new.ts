import { constants, copyFile, mkdir, readdir, readFile } from "node:fs/promises";
import { basename, dirname, resolve } from "node:path";
import { type Command, defineCommand } from "../command.ts";
import { UsageError } from "../errors.ts";
import { writeChange } from "../file-change.ts";
import { installPackages } from "../install.ts";
import { nearest } from "../nearest.ts";
import {
  namesOf,
  type ProjectKind,
  type ProjectModel,
  projectFiles,
  projectKinds,
  versions,
} from "../templates/project.ts";
import { render } from "../templates/render.ts";
import { joined } from "../text.ts";

export const command: Command = defineCommand({
  arguments: [
    { name: "name", help: "of the service and its folder: lower-case letters, digits and -" },
  ],
  options: {
    template: {
      type: "string",
      value: "kind",
      help: `${projectKinds.join(", ")}; default service`,
    },
    install: { type: "boolean", help: "also install its packages, with npm" },
    packages: {
      type: "string",
      value: "folder",
      help: "install Micro-ES from copies of the tarballs there, which `npm run pack` of its repository creates",
    },
  },
  details:
    "Writes a project that installs, generates, type-checks, tests and runs: schema, handler, test, Dockerfile and CI.\nTemplates in .micro/templates of this folder override the built-in ones; `micro templates eject` copies those there.",
  examples: [
    ["micro new shop && cd shop && npm install && npm start", "create and run a service"],
    ["micro new shop --template pubsub", "a service that publishes and receives events"],
    ["micro new my-backend --template driver", "a driver, with its contract test"],
  ],
  async run({ arguments: [name = ""], options, output, signal }) {
    if (!/^[a-z][a-z0-9]*(-[a-z][a-z0-9]*)*$/.test(name)) {
      throw new UsageError(
        `"${name}" is not a valid project name: use lower-case letters and digits, words joined by "-"`,
      );
    }
    const kind = readKind(options.template);
    const folder = resolve(name);
    await refuseFull(folder);
    const { packages, tarballs } = await packagesFrom(options.packages, kind);
    const model: ProjectModel = {
      modelVersion: 1,
      ...namesOf(name),
      events: kind === "pubsub",
      web: kind === "fullstack",
      vendored: tarballs.length > 0,
      packages,
      versions,
    };
    // All files are rendered before the first was created, so that a broken template leaves no
    // incomplete project.
    const changes = await Promise.all(
      projectFiles(kind, model).map(async ({ path, template }) => ({
        path: resolve(folder, path),
        before: undefined,
        after: await render(template, model, process.cwd()),
      })),
    );
    for (const change of changes) await writeChange(change);
    const vendored = tarballs.map((from) => ({
      from,
      to: resolve(folder, vendor, basename(from)),
    }));
    for (const { from, to } of vendored) {
      await mkdir(dirname(to), { recursive: true });
      await copyFile(from, to, constants.COPYFILE_EXCL);
    }
    const installed = options.install === true;
    if (installed) {
      output.progress("installing packages");
      await installPackages(folder, signal);
    }
    const files = [...changes.map(({ path }) => path), ...vendored.map(({ to }) => to)];
    output.result({ name, template: kind, folder, files, installed }, () =>
      joined([
        `${name} was created, ${files.length} files${installed ? ", and installed" : ""}. Next:`,
        "",
        ...(kind === "driver"
          ? [`  cd ${name} && ${installed ? "" : "npm install && "}npm test`]
          : [
              `  cd ${name} && ${installed ? "" : "npm install && "}npm start`,
              "",
              "and in another terminal:",
              "",
              `  cd ${name} && npx --no-install micro call ${name} Hello '{"name":"Ada"}'`,
            ]),
      ]),
    );
  },
});

function readKind(text = "service"): ProjectKind {
  const kind = projectKinds.find((it) => it === text);
  if (kind !== undefined) return kind;
  const meant = nearest(text, projectKinds);
  throw new UsageError(
    `there is no template ${text}; ${meant === undefined ? `there are: ${projectKinds.join(", ")}` : `did you mean ${meant}?`}`,
  );
}

async function refuseFull(folder: string): Promise<void> {
  try {
    const files = await readdir(folder);
    if (files.length === 0) return;
  } catch (reason) {
    if ((reason as NodeJS.ErrnoException).code === "ENOENT") return;
    throw reason;
  }
  throw new UsageError(`${folder} exists and is not empty; choose another name`);
}

/**
 * The project's folder for copied tarballs: a build in Docker or CI sees nothing outside the
 * project.
 */
const vendor = "vendor";

/**
 * The versions of Micro-ES packages in package.json, this version or copied tarballs, and the
 * tarballs to copy.
 */
async function packagesFrom(
  folder: string | undefined,
  kind: ProjectKind,
): Promise<Pick<ProjectModel, "packages"> & { readonly tarballs: readonly string[] }> {
  if (folder === undefined) {
    const file = new URL("../../package.json", import.meta.url);
    const { version } = JSON.parse(await readFile(file, "utf8")) as { version: string };
    const packages = { runtime: version, generator: version, cli: version, contract: version };
    return { packages, tarballs: [] };
  }
  const files = await readdir(folder).catch(() => {
    throw new UsageError(`there is no folder ${folder}`);
  });
  const tarball = (prefix: string) => {
    const found = files.find((file) => file.startsWith(prefix) && file.endsWith(".tgz"));
    if (found === undefined)
      throw new UsageError(`${folder} has no ${prefix}….tgz; run \`npm run pack\` to create it`);
    return found;
  };
  const local = (file: string) => `file:${vendor}/${file}`;
  const names = {
    runtime: "micro-es-runtime-",
    generator: "protoc-gen-micro-",
    cli: "micro-es-cli-",
    contract: "micro-es-contract-",
  };
  const needed = kind === "driver" ? ["runtime", "contract"] : ["runtime", "generator", "cli"];
  const packages = { runtime: "", generator: "", cli: "", contract: "" };
  const tarballs: string[] = [];
  for (const name of needed as (keyof typeof names)[]) {
    const file = tarball(names[name]);
    packages[name] = local(file);
    tarballs.push(resolve(folder, file));
  }
  return { packages, tarballs };
}
