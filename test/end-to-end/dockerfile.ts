import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";

/** Runs a line of shell in a folder. */
export type Shell = (
  line: string,
  folder: string,
  environment: Readonly<Record<string, string>>,
) => Promise<void>;

/** What the last stage of a Dockerfile leaves. */
export interface Image {
  /** The folder that stands for its working directory. */
  readonly folder: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly command: readonly string[];
}

interface Stage {
  readonly root: string;
  workdir: string;
  environment: Record<string, string>;
}

/**
 * Follows the instructions of a project's Dockerfile without Docker: each stage is an empty folder
 * that gets only what COPY copies, so that a file which the build needs and does not copy is
 * missing here too. The base images are this machine.
 *
 * @throws Error for an instruction that it does not know, and for a COPY of what does not exist.
 */
export async function followDockerfile(context: string, shell: Shell): Promise<Image> {
  const ignored = readFileSync(join(context, ".dockerignore"), "utf8").split("\n");
  const stages = new Map<string, Stage>();
  let stage: Stage | undefined;
  let command: readonly string[] = [];
  const text = readFileSync(join(context, "Dockerfile"), "utf8").replaceAll(/^\s*#.*\n/gm, "");
  for (const line of text.split("\n").filter((it) => it.trim() !== "")) {
    const [, instruction = "", rest = ""] = /^(\w+) +(.*)$/.exec(line) ?? [];
    if (instruction === "FROM") {
      stage = { root: mkdtempSync(join(tmpdir(), "micro-image-")), workdir: "/", environment: {} };
      stages.set(/ AS (\S+)$/.exec(rest)?.[1] ?? String(stages.size), stage);
      continue;
    }
    if (stage === undefined) throw new Error(`${line} stands before FROM`);
    const place = (path: string) =>
      join(stage?.root ?? "", path.startsWith("/") ? "" : (stage?.workdir ?? ""), path);
    switch (instruction) {
      case "WORKDIR":
        stage.workdir = rest;
        mkdirSync(place("."), { recursive: true });
        break;
      case "ENV":
        for (const [, name = "", value = ""] of rest.matchAll(/(\w+)=(\S+)/g)) {
          stage.environment[name] = value;
        }
        break;
      case "COPY": {
        const words = rest.split(" ");
        const from = /^--from=(\S+)$/.exec(words[0] ?? "")?.[1];
        if (from !== undefined) words.shift();
        const base = from === undefined ? context : stages.get(from)?.root;
        if (base === undefined) throw new Error(`there is no stage ${from}`);
        const skip = from === undefined ? ignored : [];
        const to = words.pop() ?? "";
        for (const source of words) copy(join(base, source), place(to), to.endsWith("/"), skip);
        break;
      }
      case "RUN":
        await shell(rest, place("."), stage.environment);
        break;
      case "CMD":
        command = JSON.parse(rest) as string[];
        break;
      case "USER":
      case "EXPOSE":
        break;
      default:
        throw new Error(`unknown instruction: ${line}`);
    }
  }
  if (stage === undefined) throw new Error("the Dockerfile has no stage");
  return { folder: join(stage.root, stage.workdir), environment: stage.environment, command };
}

/** A folder is copied by its content; `intoFolder` says that a file keeps its name there. */
function copy(from: string, to: string, intoFolder: boolean, skip: readonly string[]): void {
  const isFolder = !/\.\w+$/.test(basename(from)) || readsAsFolder(from);
  const target = isFolder || !intoFolder ? to : join(to, basename(from));
  mkdirSync(dirname(target), { recursive: true });
  cpSync(from, target, {
    recursive: true,
    verbatimSymlinks: true,
    filter: (path) => !skip.includes(path.slice(from.length + 1).split("/")[0] || " "),
  });
}

function readsAsFolder(path: string): boolean {
  try {
    readdirSync(path);
    return true;
  } catch {
    return false;
  }
}
