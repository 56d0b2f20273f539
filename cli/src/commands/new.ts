import { readdir, readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { type Command, defineCommand, UsageError } from "../command.ts";
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

export const command: Command = defineCommand({
  arguments: [
    { name: "name", help: "of the service and of its folder: small letters, digits and -" },
  ],
  options: {
    template: {
      type: "string",
      value: "kind",
      help: `${projectKinds.join(", ")}; default service`,
    },
    install: { type: "boolean", help: "install its packages too, with npm" },
    packages: {
      type: "string",
      value: "folder",
      help: "install Micro-ES from the tarballs there, which `npm run pack` of its repository makes",
    },
  },
  details:
    "Writes a project that installs, generates, type-checks, tests and runs: schema, handler, test, Dockerfile and CI.\nTemplates in .micro/templates of this folder go over the built-in ones; `micro templates eject` copies those there.",
  examples: [
    ["micro new shop && cd shop && npm install && npm start", "from nothing to a running service"],
    ["micro new shop --template pubsub", "one that publishes events and takes them"],
  ],
  async run({ arguments: [name = ""], options, output, signal }) {
    if (!/^[a-z][a-z0-9]*(-[a-z][a-z0-9]*)*$/.test(name)) {
      throw new UsageError(
        `"${name}" is no name for a project: small letters and digits, words joined by "-"`,
      );
    }
    const kind = readKind(options.template);
    const folder = resolve(name);
    await refuseFull(folder);
    const model: ProjectModel = {
      modelVersion: 1,
      ...namesOf(name),
      events: kind === "pubsub",
      web: kind === "fullstack",
      packages: await packagesFrom(options.packages),
      versions,
    };
    // Everything is rendered before anything is written: a broken template leaves no half of a project.
    const changes = await Promise.all(
      projectFiles(kind, model).map(async ({ path, template }) => ({
        path: resolve(folder, path),
        before: undefined,
        after: await render(template, model, process.cwd()),
      })),
    );
    for (const change of changes) await writeChange(change);
    const installed = options.install === true;
    if (installed) {
      output.progress("installing packages");
      await installPackages(folder, signal);
    }
    const files = changes.map(({ path }) => path);
    output.result({ name, template: kind, folder, files, installed }, () =>
      [
        `${name} is written, ${changes.length} files${installed ? ", and installed" : ""}. Next:`,
        "",
        `  cd ${name} && ${installed ? "" : "npm install && "}npm start`,
        "",
        "and in another terminal:",
        "",
        `  cd ${name} && npx micro call ${name} Hello '{"name":"Ada"}'`,
      ].join("\n"),
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
  throw new UsageError(`${folder} is there and not empty; choose another name`);
}

/** What package.json says of Micro-ES' own packages: this version, or tarballs of a folder. */
async function packagesFrom(folder: string | undefined): Promise<ProjectModel["packages"]> {
  if (folder === undefined) {
    const file = new URL("../../package.json", import.meta.url);
    const { version } = JSON.parse(await readFile(file, "utf8")) as { version: string };
    return { runtime: version, generator: version, cli: version };
  }
  const files = await readdir(folder).catch(() => {
    throw new UsageError(`there is no folder ${folder}`);
  });
  const tarball = (prefix: string) => {
    const found = files.find((file) => file.startsWith(prefix) && file.endsWith(".tgz"));
    if (found === undefined)
      throw new UsageError(`${folder} has no ${prefix}….tgz; \`npm run pack\` makes it`);
    return decodeURI(pathToFileURL(resolve(folder, found)).href).replace("file://", "file:");
  };
  return {
    runtime: tarball("micro-es-runtime-"),
    generator: tarball("protoc-gen-micro-"),
    cli: tarball("micro-es-cli-"),
  };
}
