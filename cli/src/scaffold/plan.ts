import { join } from "node:path";
import { UsageError } from "../command.ts";
import type { FileChange } from "../file-change.ts";
import { render } from "../templates/render.ts";
import { addMethods, stubsOf } from "./add-methods.ts";
import { type Difference, differences } from "./differences.ts";
import { type HandlerInterface, handlerInterfaces, newProject } from "./handler-interface.ts";
import { type Implementation, implementationsIn } from "./implementation.ts";
import { importLine, type NeededImport, neededImports } from "./imports.ts";
import { isGenerated, type ProjectFile, projectFiles } from "./project-files.ts";
import { stubOf } from "./stub.ts";
import { defaultStyle, styleOf } from "./style.ts";

/** What there is to do for one handler interface. */
export interface HandlerPlan {
  readonly handler: HandlerInterface;
  /** The methods that nobody has written yet. */
  readonly missing: readonly string[];
  /** What to write; undefined when nothing is missing, or when it is not certain where. */
  readonly change: FileChange | undefined;
  /** Why a person has to paste it, and what; undefined when nobody has to. */
  readonly paste: { readonly why: string; readonly text: string } | undefined;
  /** The files of those who implement it, with what they have otherwise than the schema. */
  readonly differences: readonly (Difference & { readonly file: string })[];
}

/** Where to look, and where to write. */
export interface PlanOptions {
  readonly project: string;
  /** Folder of new handlers. */
  readonly out: string;
}

/**
 * Compares every generated handler interface below the project with what implements it.
 *
 * @throws UsageError when no generated file is there.
 */
export async function planScaffold({ project, out }: PlanOptions): Promise<readonly HandlerPlan[]> {
  const files = await projectFiles(project);
  const generated = files.filter(isGenerated);
  if (generated.length === 0) {
    throw new UsageError(`no generated code is below ${project}; run \`npx micro generate\` first`);
  }
  const written = files.filter((file) => !isGenerated(file));
  const handlers = generated.flatMap(({ path, text }) => handlerInterfaces(path, text));
  const plans: HandlerPlan[] = [];
  for (const handler of handlers) plans.push(await planHandler(handler, written, project, out));
  return plans;
}

async function planHandler(
  handler: HandlerInterface,
  files: readonly ProjectFile[],
  project: string,
  out: string,
): Promise<HandlerPlan> {
  const found = files
    .filter(({ text }) => text.includes(handler.name))
    .flatMap(({ path, text }) =>
      implementationsIn(newProject().createSourceFile(path, text), handler),
    );
  const reported = found.flatMap((implementation) => {
    const file = implementation.source.getFilePath();
    return differences(implementation, handler).map((difference) => ({ ...difference, file }));
  });
  const [only] = found;
  const base = { handler, differences: reported, paste: undefined, change: undefined };
  if (only === undefined) {
    const missing = handler.methods.map(({ name }) => name);
    const path = join(out, `${kebab(serviceOf(handler))}.ts`);
    if (files.some((file) => file.path === path)) {
      const why = `${path} is there and nothing in it implements ${handler.name}; say so in it, or name another folder with --out`;
      return { ...base, missing, paste: { why, text: stubsOf(handler.methods, defaultStyle) } };
    }
    return { ...base, missing, change: await newFile(handler, path, project) };
  }
  const lacking = (implementation: Implementation) =>
    handler.methods.filter(({ name }) => !implementation.has.has(name));
  // Tests and fakes may implement a part; who has most is who is meant, if there is one.
  const complete = found.find((implementation) => lacking(implementation).length === 0);
  if (complete !== undefined) return { ...base, missing: [] };
  const methods = lacking(only);
  const missing = methods.map(({ name }) => name);
  const path = only.source.getFilePath();
  const text = only.source.getFullText();
  const style = styleOf(text);
  if (found.length > 1) {
    const places = found.map((it) => it.source.getFilePath()).join(", ");
    return {
      ...base,
      missing,
      paste: { why: `several implement ${handler.name}: ${places}`, text: stubsOf(methods, style) },
    };
  }
  if (only.unsure !== undefined) {
    return {
      ...base,
      missing,
      paste: { why: `${path}: ${only.unsure}`, text: stubsOf(methods, style) },
    };
  }
  const after = addMethods(only, handler, methods);
  return { ...base, missing, change: { path, before: text, after } };
}

async function newFile(
  handler: HandlerInterface,
  path: string,
  project: string,
): Promise<FileChange> {
  const service = serviceOf(handler);
  const types = handler.methods.flatMap((method) => method.types);
  const own = { name: handler.name, exported: handler.name, module: undefined };
  const needed = neededImports(handler, [...types, own], path);
  const taken = new Set(needed.map(({ name }) => name));
  const style = defaultStyle;
  const model = {
    modelVersion: 1,
    imports: importLines(needed),
    className: taken.has(service) ? `${service}Service` : service,
    interfaceName: handler.name,
    methods: handler.methods.map((method) =>
      stubOf(method, style, true)
        .split("\n")
        .map((line) => (line === "" ? line : style.indent + line))
        .join("\n"),
    ),
  };
  return { path, before: undefined, after: await render("scaffold/handler.ts", model, project) };
}

function importLines(needed: readonly NeededImport[]): readonly string[] {
  const modules = new Map<string, NeededImport[]>();
  for (const need of needed) modules.set(need.module, [...(modules.get(need.module) ?? []), need]);
  return [...modules]
    .sort(([a], [b]) => Number(a.startsWith(".")) - Number(b.startsWith(".")) || a.localeCompare(b))
    .map(([module, needs]) => importLine(module, needs, defaultStyle));
}

function serviceOf({ name }: HandlerInterface): string {
  return name.replace(/Handler$/, "");
}

/** `OrderBook` as `order-book`. */
function kebab(name: string): string {
  return name.replaceAll(/([a-z0-9])([A-Z])|([A-Z])([A-Z][a-z])/g, "$1$3-$2$4").toLowerCase();
}
