import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { type Compiled, generate, protocGenEs, repository } from "./compile.ts";

const run = promisify(execFile);

/**
 * A folder inside the repository, where generated code finds its packages. Remove it with
 * {@link remove}.
 */
export class Workspace {
  readonly folder: string;

  constructor() {
    const cache = join(repository, ".cache");
    mkdirSync(cache, { recursive: true });
    this.folder = mkdtempSync(join(cache, "generated-"));
  }

  write(files: Iterable<readonly [string, string]>): void {
    for (const [name, content] of files) {
      const path = join(this.folder, name);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, content);
    }
  }

  /** Writes what protoc-gen-es and protoc-gen-micro make of these files. */
  generate(
    compiled: Compiled,
    names: readonly string[],
    shared: string,
    own = "",
    es = "erasable_syntax=true",
  ): void {
    const options = `${shared},map_imports=micro/v1/:@micro-es/runtime/gen`;
    this.write(
      generate(compiled.request(names, es === "" ? options : `${options},${es}`), protocGenEs),
    );
    this.write(generate(compiled.request(names, own === "" ? options : `${options},${own}`)));
  }

  /**
   * Type-checks everything in the folder, under the flags that generated code is promised to pass.
   * @returns the errors; those in the runtime's own sources are not of interest here
   */
  async typeErrors(compilerOptions: Record<string, unknown> = {}): Promise<string[]> {
    this.write([["tsconfig.json", JSON.stringify(strictConfig(compilerOptions))]]);
    const tsc = join(repository, "node_modules/.bin/tsc");
    const { stdout } = await run(tsc, ["-p", ".", "--pretty", "false"], {
      cwd: this.folder,
      maxBuffer: 1 << 26,
    }).catch((error: { stdout?: string }) => ({ stdout: error.stdout ?? String(error) }));
    return stdout.split("\n").filter((line) => /error TS/.test(line) && !line.startsWith(".."));
  }

  /**
   * Runs a module of the folder in a Node of its own, with the runtime's sources. @returns its
   * output
   */
  async run(name: string): Promise<string> {
    const args = ["--import", "tsx", "--conditions=@micro-es/source", join(this.folder, name)];
    const { stdout } = await run(process.execPath, args, { cwd: repository });
    return stdout;
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Strict flags under which generated code must compile, whatever the user's project sets. */
export function strictConfig(compilerOptions: Record<string, unknown> = {}): unknown {
  return {
    compilerOptions: {
      target: "es2022",
      lib: ["es2023", "esnext.disposable"],
      module: "nodenext",
      types: ["node"],
      noEmit: true,
      strict: true,
      exactOptionalPropertyTypes: true,
      noUncheckedIndexedAccess: true,
      noImplicitOverride: true,
      noImplicitReturns: true,
      noFallthroughCasesInSwitch: true,
      noUnusedLocals: true,
      noUnusedParameters: true,
      verbatimModuleSyntax: true,
      isolatedModules: true,
      erasableSyntaxOnly: true,
      declaration: true,
      isolatedDeclarations: true,
      allowImportingTsExtensions: true,
      customConditions: ["@micro-es/source"],
      skipLibCheck: false,
      ...compilerOptions,
    },
    include: ["."],
  };
}
