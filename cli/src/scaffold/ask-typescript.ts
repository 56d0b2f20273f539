import { dirname, join, sep } from "node:path";
import { ts } from "ts-morph";
import type { ProjectFile } from "./project-files.ts";

/** A package whose sources TypeScript checks. */
export interface AskedPackage {
  readonly folder: string;
  readonly files: readonly ProjectFile[];
}

/** Where imports of these sources may lead. */
export interface ImportScope {
  /** Imports of files below this folder, but not in `node_modules`, are the project's own code. */
  readonly root: string;
  /** Folders of the workspace's packages, by name. */
  readonly packages: ReadonlyMap<string, string>;
}

/**
 * Checks a package's sources with the options of its tsconfig.json. Reports and emits nothing.
 *
 * @param withLibraries whether to read the types of installed packages, which takes several times
 * as long
 */
export function programOf(
  { folder, files }: AskedPackage,
  scope: ImportScope,
  withLibraries: boolean,
): ts.Program {
  const options = optionsOf(folder);
  if (!withLibraries) options.types = [];
  const texts = new Map(files.map(({ path, text }) => [path, text]));
  texts.set(librariesFile, libraries);
  const host: ts.CompilerHost = {
    getSourceFile: (path, languageVersion) => {
      const text = host.readFile(path);
      return text === undefined ? undefined : ts.createSourceFile(path, text, languageVersion);
    },
    getDefaultLibFileName: () => librariesFile,
    writeFile: () => {},
    getCurrentDirectory: () => folder,
    getCanonicalFileName: (path) => path,
    useCaseSensitiveFileNames: () => true,
    getNewLine: () => "\n",
    fileExists: (path) => texts.has(path) || ts.sys.fileExists(path),
    readFile: (path) => texts.get(path) ?? ts.sys.readFile(path),
    directoryExists: ts.sys.directoryExists,
    getDirectories: ts.sys.getDirectories,
    ...(ts.sys.realpath === undefined ? {} : { realpath: ts.sys.realpath }),
    resolveModuleNameLiterals: (literals, importer, redirected, compilerOptions, source) =>
      literals.map((literal) => {
        const mode = ts.getModeForUsageLocation(source, literal, compilerOptions);
        const { resolvedModule } = ts.resolveModuleName(
          ...[literal.text, importer, compilerOptions, host, undefined, redirected, mode],
        );
        const path = resolvedModule?.resolvedFileName;
        if (path !== undefined && (withLibraries || isWithin(path, scope.root)))
          return { resolvedModule };
        const built = path === undefined ? sourceOf(literal.text, scope) : undefined;
        return {
          resolvedModule:
            built === undefined
              ? undefined
              : {
                  resolvedFileName: built,
                  extension: ts.Extension.Ts,
                  isExternalLibraryImport: false,
                },
        };
      }),
  };
  return ts.createProgram({ rootNames: [librariesFile, ...texts.keys()], options, host });
}

function optionsOf(folder: string): ts.CompilerOptions {
  const file = ts.findConfigFile(folder, ts.sys.fileExists);
  const config = file === undefined ? {} : (ts.readConfigFile(file, ts.sys.readFile).config ?? {});
  // The files to compile are already known; searching for them takes time in a large project.
  const host: ts.ParseConfigHost = { ...ts.sys, readDirectory: () => [] };
  const base = file === undefined ? folder : dirname(file);
  const { options } = ts.parseJsonConfigFileContent(config, host, base, undefined, file);
  return {
    ...{ module: ts.ModuleKind.NodeNext, target: ts.ScriptTarget.ESNext },
    ...options,
    ...{ noLib: true, noEmit: true, skipLibCheck: true, strict: true },
    ...{ allowImportingTsExtensions: true, allowJs: true, jsx: ts.JsxEmit.Preserve },
  };
}

function isWithin(path: string, folder: string): boolean {
  return path.startsWith(folder + sep) && !path.includes(`${sep}node_modules${sep}`);
}

/**
 * The source of a workspace package's export if its build output does not exist. By convention
 * `dist`, `build` or `lib` is built from `src`.
 */
function sourceOf(specifier: string, { packages }: ImportScope): string | undefined {
  const name = specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");
  const folder = packages.get(name);
  if (folder === undefined) return undefined;
  const subpath = `.${specifier.slice(name.length)}`;
  const manifest = JSON.parse(ts.sys.readFile(join(folder, "package.json")) ?? "{}") as {
    readonly exports?: unknown;
    readonly main?: unknown;
  };
  const targets = [...exportTargets(manifest.exports ?? manifest.main, subpath), subpath];
  return targets
    .map((target) => join(folder, target))
    .flatMap((path) => {
      const plain = path.replace(/(\.d)?\.[cm]?[jt]s$/, "");
      const source = plain.replace(/([/\\])(dist|build|lib)([/\\])/, "$1src$3");
      return [source, plain].flatMap((it) => [`${it}.ts`, `${it}.d.ts`, join(it, "index.ts")]);
    })
    .find((path) => ts.sys.fileExists(path));
}

/** The files that a package's `exports` list for a subpath, under any condition. */
function exportTargets(exports: unknown, subpath: string): readonly string[] {
  if (typeof exports === "string") return subpath === "." ? [exports] : [];
  if (typeof exports !== "object" || exports === null) return [];
  return Object.entries(exports).flatMap(([key, value]): readonly string[] => {
    if (!key.startsWith(".")) return subpath === "." ? exportTargets(value, ".") : [];
    const [before = "", after] = key.split("*");
    if (after === undefined) return key === subpath ? exportTargets(value, ".") : [];
    if (!subpath.startsWith(before) || !subpath.endsWith(after)) return [];
    const middle = subpath.slice(before.length, subpath.length - after.length);
    return exportTargets(value, ".").map((target) => target.replaceAll("*", middle));
  });
}

const librariesFile = "/micro-es-libraries.d.ts";

/**
 * Types that handlers use. Reading the real library files takes far longer than a project's own
 * code.
 */
const libraries = `
interface Array<T> { [index: number]: T; length: number; }
interface ReadonlyArray<T> { readonly [index: number]: T; readonly length: number; }
interface Boolean {}
interface CallableFunction extends Function {}
interface Function {
  bind(this: Function, thisArg: any, ...args: any[]): any;
}
interface IArguments {}
interface NewableFunction extends Function {}
interface Number {}
interface Object {}
interface RegExp {}
interface String {}
interface Symbol {}
interface SymbolConstructor { readonly iterator: unique symbol; readonly asyncIterator: unique symbol; }
declare var Symbol: SymbolConstructor;
interface PromiseLike<T> { then<R>(resolved: (value: T) => R | PromiseLike<R>): PromiseLike<R>; }
interface Promise<T> { then<R>(resolved: (value: T) => R | PromiseLike<R>): Promise<R>; }
interface PromiseConstructor {
  new <T>(run: (resolve: (value: T | PromiseLike<T>) => void) => void): Promise<T>;
  resolve<T>(value: T): Promise<Awaited<T>>;
}
declare var Promise: PromiseConstructor;
interface IteratorResult<T> { done?: boolean; value: T; }
interface Iterator<T> { next(): IteratorResult<T>; }
interface Iterable<T> { [Symbol.iterator](): Iterator<T>; }
interface IterableIterator<T> extends Iterator<T> { [Symbol.iterator](): IterableIterator<T>; }
interface Generator<T = unknown, R = any, N = any> extends Iterator<T> { [Symbol.iterator](): Generator<T, R, N>; }
interface AsyncIterator<T> { next(): Promise<IteratorResult<T>>; }
interface AsyncIterable<T> { [Symbol.asyncIterator](): AsyncIterator<T>; }
interface AsyncIterableIterator<T> extends AsyncIterator<T> { [Symbol.asyncIterator](): AsyncIterableIterator<T>; }
interface AsyncGenerator<T = unknown, R = any, N = any> extends AsyncIterator<T> { [Symbol.asyncIterator](): AsyncGenerator<T, R, N>; }
interface ObjectConstructor {
  assign<A, B>(target: A, source: B): A & B;
  assign<A, B, C>(target: A, one: B, two: C): A & B & C;
  freeze<T>(value: T): Readonly<T>;
  seal<T>(value: T): T;
}
declare var Object: ObjectConstructor;
type Awaited<T> = T extends null | undefined ? T : T extends object & { then(resolved: infer F): any } ? F extends (value: infer V, ...rest: infer _) => any ? Awaited<V> : never : T;
type Partial<T> = { [K in keyof T]?: T[K] };
type Required<T> = { [K in keyof T]-?: T[K] };
type Readonly<T> = { readonly [K in keyof T]: T[K] };
type Record<K extends keyof any, T> = { [P in K]: T };
type Pick<T, K extends keyof T> = { [P in K]: T[P] };
type Exclude<T, U> = T extends U ? never : T;
type Extract<T, U> = T extends U ? T : never;
type Omit<T, K extends keyof any> = Pick<T, Exclude<keyof T, K>>;
type NonNullable<T> = T & {};
type Parameters<T extends (...args: any) => any> = T extends (...args: infer P) => any ? P : never;
type ReturnType<T extends (...args: any) => any> = T extends (...args: any) => infer R ? R : any;
type InstanceType<T extends abstract new (...args: any) => any> = T extends abstract new (...args: any) => infer R ? R : any;
type ThisType<T> = {};
`;
