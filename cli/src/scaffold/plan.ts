import { join, sep } from "node:path";
import { UsageError } from "../errors.ts";
import type { FileChange } from "../file-change.ts";
import { render } from "../templates/render.ts";
import { addMethods, stubsOf } from "./add-methods.ts";
import { type Difference, differences } from "./differences.ts";
import type { FoundImplementation } from "./find-implementations.ts";
import { type HandlerInterface, handlerInterfaces } from "./handler-interface.ts";
import { HandlerSearch } from "./handler-search.ts";
import { implementationAt } from "./implementation.ts";
import { importLine, type NeededImport, neededImports } from "./imports.ts";
import { isGenerated, isJavaScript, isTest, type ProjectFile } from "./project-files.ts";
import { isBelow, openSearchScope } from "./search-scope.ts";
import { stubOf } from "./stub.ts";
import { defaultStyle, styleOf } from "./style.ts";

/** The work for one handler interface. */
export interface HandlerPlan {
  readonly handler: HandlerInterface;
  /** The missing methods. */
  readonly missing: readonly string[];
  /** The file to write; undefined if nothing is missing, or if the position is not certain. */
  readonly change: FileChange | undefined;
  /** Code that a person has to paste, and why; undefined if not needed. */
  readonly paste: { readonly why: string; readonly text: string } | undefined;
  /** Files that implement it, with their differences from the schema. */
  readonly differences: readonly (Difference & { readonly file: string })[];
}

/** Where to search, and where to write. */
export interface PlanOptions {
  readonly project: string;
  /** Folder of new handlers. */
  readonly out: string;
}

/**
 * Compares every generated handler interface of the project with its implementations, in the
 * project or elsewhere in its workspace. Interfaces generated in other packages of the workspace
 * count if the project implements them.
 *
 * @throws UsageError if neither the project nor its workspace has generated code.
 */
export async function planScaffold({ project, out }: PlanOptions): Promise<readonly HandlerPlan[]> {
  const scope = await openSearchScope(project);
  const written = scope.asked.flatMap(({ files }) => files);
  const generated = written.filter(isGenerated);
  if (generated.length === 0) {
    throw new UsageError(`no generated code is below ${project}; run \`micro generate\` first`);
  }
  const search = new HandlerSearch(scope);
  const candidates = distinct(generated.flatMap(({ path, text }) => handlerInterfaces(path, text)))
    .map((copies) => {
      const own = copies.find(({ file }) => isBelow(file, project));
      const found = search.implementations(copies, own === undefined ? project : undefined);
      return { own: own !== undefined, copies, found };
    })
    .filter(({ own, found }) => own || found.length > 0);
  const plans: HandlerPlan[] = [];
  for (const { copies, found } of candidates) {
    const others = candidates
      .filter((it) => it.copies !== copies && it.found.some((one) => found.some(isSame(one))))
      .flatMap((it) => it.copies[0]?.methods.map(({ name }) => name) ?? []);
    plans.push(await planHandler({ copies, found, others, written, project, out }));
  }
  return plans;
}

/** Interfaces by service: a workspace may generate the same .proto more than once. */
function distinct(all: readonly HandlerInterface[]): readonly (readonly HandlerInterface[])[] {
  const found = new Map<string, HandlerInterface[]>();
  for (const handler of all) {
    const key = `${handler.proto} ${handler.name}`;
    found.set(key, [...(found.get(key) ?? []), handler]);
  }
  return [...found.values()];
}

function isSame({ path, start }: FoundImplementation): (other: FoundImplementation) => boolean {
  return (other) => other.path === path && other.start === start;
}

interface Planned {
  /** The interface, and its copies in other packages. */
  readonly copies: readonly HandlerInterface[];
  readonly found: readonly FoundImplementation[];
  /** Methods of other interfaces that the same classes implement. */
  readonly others: readonly string[];
  readonly written: readonly ProjectFile[];
  readonly project: string;
  readonly out: string;
}

async function planHandler(planned: Planned): Promise<HandlerPlan> {
  const { copies, found, others, written, project, out } = planned;
  const handler = copies.find(({ file }) => isBelow(file, project)) ?? copies[0];
  if (handler === undefined) throw new Error("a service without a handler interface");
  const textOf = (path: string) => written.find((file) => file.path === path)?.text ?? "";
  const reported = found.flatMap((it) => {
    if (isJavaScript(it.path)) return [];
    const implementation = implementationAt(it, textOf(it.path));
    if (implementation === undefined) return [];
    return differences(implementation, handler)
      .filter(({ method }) => !others.includes(method))
      .map((difference) => ({ ...difference, file: it.path }));
  });
  const base = { handler, differences: reported, paste: undefined, change: undefined };
  if (found.length === 0) {
    const missing = handler.methods.map(({ name }) => name);
    const path = join(out, `${kebab(serviceOf(handler))}.ts`);
    if (written.some((file) => file.path === path)) {
      const why = `${path} exists, but nothing in it implements ${handler.name}; implement it there, or choose another folder with --out`;
      return {
        ...base,
        missing,
        paste: { why, text: stubsOf(handler.methods, defaultStyle, true) },
      };
    }
    return { ...base, missing, change: await newFile(handler, path, project) };
  }
  const lacking = (it: FoundImplementation) =>
    handler.methods.filter(({ name }) => !it.has.has(name));
  // TypeScript accepts a value of unknown type as a handler, and so does this check.
  const isComplete = (it: FoundImplementation) => it.unknown || lacking(it).length === 0;
  const meant = meantBy(found, isComplete);
  const [only] = meant;
  if (only === undefined) return { ...base, missing: [] };
  const methods = handler.methods.filter(({ name }) => meant.some(({ has }) => !has.has(name)));
  const missing = methods.map(({ name }) => name);
  const text = textOf(only.path);
  const paste = (why: string) => {
    const stubs = stubsOf(methods, styleOf(text), !isJavaScript(only.path));
    return { ...base, missing, paste: { why, text: stubs } };
  };
  if (meant.length > 1) {
    return paste(`several implement ${handler.name}: ${meant.map(({ path }) => path).join(", ")}`);
  }
  if (only.unsure !== undefined) return paste(`${only.path}: ${only.unsure}`);
  if (isJavaScript(only.path)) return paste(`${only.path} is JavaScript, which is not changed`);
  const implementation = implementationAt(only, text);
  if (implementation === undefined) return paste(`${only.path} does not contain its source`);
  const after = addMethods(implementation, nearestCopy(copies, only.path), methods);
  return { ...base, missing, change: { path: only.path, before: text, after } };
}

/**
 * The incomplete implementations. Implementations registered outside of tests serve calls, so each
 * has to be complete. Otherwise tests and fakes may implement a part, and one complete
 * implementation is enough.
 */
function meantBy(
  found: readonly FoundImplementation[],
  isComplete: (it: FoundImplementation) => boolean,
): readonly FoundImplementation[] {
  const serving = found.filter(({ registered, path }) => registered && !isTest(path));
  if (serving.length > 0) return serving.filter((it) => !isComplete(it));
  return found.some(isComplete) ? [] : found;
}

/** The copy of an interface that a file can import most directly. */
function nearestCopy(copies: readonly HandlerInterface[], path: string): HandlerInterface {
  const shared = ({ file }: HandlerInterface) => {
    const [one, other] = [file.split(sep), path.split(sep)];
    const differs = one.findIndex((part, at) => part !== other[at]);
    return differs < 0 ? one.length : differs;
  };
  return copies.reduce((best, it) => (shared(it) > shared(best) ? it : best));
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
