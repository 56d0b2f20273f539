import type { DescFile } from "@bufbuild/protobuf";
import type { EcmaScriptPluginOptions, GeneratedFile } from "@bufbuild/protoplugin";

type PathOptions = Pick<EcmaScriptPluginOptions, "importExtension" | "rewriteImports">;

/** Import paths between the output files of a run, computed once each. */
export class ImportPaths {
  readonly #extension: string;
  readonly #rewrites: readonly { readonly pattern: RegExp; readonly target: string }[];
  readonly #rewritten = new Map<string, string>();
  readonly #pb = new Map<DescFile, string>();

  constructor({ importExtension, rewriteImports }: PathOptions) {
    this.#extension = importExtension === "none" ? "" : `.${importExtension}`;
    this.#rewrites = rewriteImports.map(({ pattern, target }) => ({
      pattern: globPattern(pattern),
      target,
    }));
  }

  /**
   * The path of the output of protoc-gen-es for a file, from the root of the output or in a
   * package.
   */
  ofPb(file: DescFile, output: GeneratedFile): string {
    let path = this.#pb.get(file);
    if (path === undefined) {
      // protoplugin would compute the names of all declarations in the file, on which its path does
      // not depend.
      const empty: DescFile = { ...file, messages: [], enums: [], services: [], extensions: [] };
      path = output.importSchema(empty).from;
      this.#pb.set(file, path);
    }
    return path;
  }

  /**
   * The path to write in an import statement, subject to the plugin options `rewrite_imports` and
   * `import_extension`.
   *
   * @param importer path of the output file from the root of the output, `./acme/orders_micro.js`
   * @param from the path of another output file, or the name of a package
   */
  between(importer: string, from: string): string {
    let path = this.#rewritten.get(from);
    if (path === undefined) {
      path = this.#rewrite(from);
      this.#rewritten.set(from, path);
    }
    return isRelative(path) ? relativePath(importer, path) : path;
  }

  #rewrite(from: string): string {
    const rewrite = this.#rewrites.find(({ pattern }) => pattern.test(from));
    let path = from;
    if (rewrite !== undefined) {
      path = isRelative(from)
        ? rewrite.target.replace(/\/$/, "") + from.replace(relativeStart, "/")
        : rewrite.target;
    }
    return isRelative(path) ? path.replace(/\.js$/, this.#extension) : path;
  }
}

const relativeStart = /^\.{1,2}\//;

function isRelative(path: string): boolean {
  return relativeStart.test(path);
}

/** The path of a file relative to the folder of an importer. */
function relativePath(importer: string, path: string): string {
  const folder = segments(importer).slice(0, -1);
  const target = segments(path);
  let shared = 0;
  while (shared < folder.length && folder[shared] === target[shared]) shared++;
  const steps = [...folder.slice(shared).map(() => ".."), ...target.slice(shared)].join("/");
  return isRelative(steps) ? steps : `./${steps}`;
}

function segments(path: string): string[] {
  return path
    .replace(/^\.\//, "")
    .split("/")
    .filter((segment) => segment !== "");
}

// A glob of `*`, which matches within one path segment, and `**/`, which matches any number of
// segments.
function globPattern(glob: string): RegExp {
  const source = glob.replace(/\*\*\/|\*|[.+?^$(){}|[\]\\]/g, (part) => {
    if (part === "**/") return "([^/]+/)*";
    return part === "*" ? "[^/]*" : `\\${part}`;
  });
  return new RegExp(`^${source}$`);
}
