import type { DescEnum, DescFile, DescMessage } from "@bufbuild/protobuf";
import type { GeneratedFile } from "@bufbuild/protoplugin";
import { pbNames } from "../model/pb-names.ts";
import type { ImportPaths } from "./import-paths.ts";
import {
  type Code,
  columnAfter,
  firstLineFits,
  join,
  type ListStyle,
  lineWidth,
  list,
  methodKey,
  type Name,
  type Verbatim,
  verbatim,
} from "./layout.ts";
import type { Scope } from "./module-names.ts";
import { type ModuleStyle, ModuleText } from "./module-text.ts";
import { type OutputKind, outputPath } from "./output-path.ts";

export type Target = "ts" | "js" | "dts";

export interface Parameter {
  readonly name: string;
  readonly type: Code;
  readonly optional?: boolean;
}

/** The signature of a function or method. */
export interface Signature {
  readonly name: string;
  readonly parameters: readonly Parameter[];
  readonly returns: Code;
}

/** A top-level declaration of an output file. */
interface Declaration {
  readonly name: string;
  readonly exported: boolean;
  readonly doc: string;
}

/**
 * Writes an output file for one of the three targets. Callers describe everything once; the writer
 * leaves out what a target does not have, such as types in JavaScript and bodies in declarations.
 */
export class Writer {
  readonly #file: GeneratedFile;
  readonly target: Target;
  readonly #source: DescFile;
  readonly #paths: ImportPaths;
  readonly #text: ModuleText;

  /** @param source the .proto file, and which of its output files this is */
  constructor(
    file: GeneratedFile,
    target: Target,
    source: { readonly file: DescFile; readonly kind: OutputKind },
    paths: ImportPaths,
  ) {
    this.#file = file;
    this.target = target;
    this.#source = source.file;
    this.#paths = paths;
    this.#text = new ModuleText(outputPath(source.file, source.kind), styleOf(file, target), paths);
  }

  /** A top-level declaration with a name that other files rely on. */
  declared(name: string): Name {
    return this.#text.names.declared(name);
  }

  /** The name of a new unexported top-level declaration. */
  private(wanted: string): Name {
    return this.#text.names.private(wanted);
  }

  /** The variables of a function. */
  scope(): Scope {
    return this.#text.names.scope();
  }

  /** The type of a message or enum. */
  shape(message: DescMessage | DescEnum): Name {
    const name = pbNames(message.file).shapes.get(message)!;
    return this.#text.names.imported(name, this.#pbPath(message.file), true);
  }

  /** The constant that describes a message. */
  schema(message: DescMessage, typeOnly: boolean = this.target === "dts"): Name {
    const name = pbNames(message.file).descriptors.get(message)!;
    return this.#text.names.imported(name, this.#pbPath(message.file), typeOnly);
  }

  /** The name of the constant that describes a message. */
  schemaName(message: DescMessage): string {
    return pbNames(message.file).descriptors.get(message)!;
  }

  /** A function that imports the descriptors of the .proto file when it is called. */
  importOfDescriptors(): Code {
    return this.#text.importOnDemand(this.#pbPath(this.#source));
  }

  /** An export of another output file. */
  imported(name: string, from: DescFile, kind: OutputKind, typeOnly = false): Name {
    return this.#text.names.imported(name, this.#outputPath(from, kind), typeOnly);
  }

  /**
   * Re-exports everything that the codec file exports.
   * @param values the constants among its exports
   */
  reexportCodecs(values: readonly string[]): void {
    this.#separate();
    this.#text.add(verbatim("// Initializers and codecs of the messages.\n"));
    this.#text.reexport(outputPath(this.#source, "codec"), values);
  }

  type(name: string, from = "@micro-es/runtime"): Name {
    return this.#text.names.imported(name, from, true);
  }

  value(name: string): Name {
    return this.#text.names.imported(name, "@micro-es/runtime/codegenv1", false);
  }

  /** A codec of a message of google/protobuf, or their descriptors. */
  wellKnown(name: string): Name {
    return this.#text.names.imported(name, "@micro-es/runtime/codegenv1/well-known", false);
  }

  /** Creates a topic. It has an entry of its own, because it may load more than the others. */
  topic(): Name {
    return this.#text.names.imported("topic", "@micro-es/runtime/codegenv1/topic", false);
  }

  /**
   * Creates a codec from a descriptor. It has an entry of its own, because it loads more of
   * protobuf-es.
   */
  reflective(name: "codec" | "reflectCodec"): Name {
    return this.#text.names.imported(name, "@micro-es/runtime/codegenv1/reflect", false);
  }

  typeAlias(declaration: Declaration, type: TypeReference): void {
    if (this.target === "js") return;
    const before = `export type ${declaration.name} = `.length;
    this.#declare(declaration, "type", [" = ", this.#typeReference(type, before, ";"), ";"]);
  }

  /** An interface of methods. */
  interface(declaration: Declaration, methods: readonly (Signature & { doc: string })[]): void {
    if (this.target === "js") return;
    this.#declare(declaration, "interface", [
      " {",
      methods.map((method) => [
        "\n",
        docComment(method.doc, 2),
        "  ",
        this.#signature(methodKey(method.name), method, { indent: 2, before: 2, after: 1 }),
        ";",
      ]),
      "\n}",
    ]);
  }

  /** @param body whole lines, indented by two */
  function(declaration: Declaration, signature: Omit<Signature, "name">, body: Code[]): void {
    const keyword = this.target === "dts" ? "declare function" : "function";
    const before = `export ${keyword} ${declaration.name}`.length;
    const head = this.#signature(verbatim(""), signature, { indent: 0, before, after: 2 });
    const block = this.target === "dts" ? ";" : [" {\n", body.map((line) => [line, "\n"]), "}"];
    this.#declare(declaration, keyword, [head, block]);
  }

  /** @param value receives the columns before it and the indentation of its line */
  constant(
    declaration: Declaration,
    type: TypeReference,
    value: (before: number, indent: number) => Code,
  ): void {
    if (this.target === "dts" && !declaration.exported) return;
    const keyword = this.target === "dts" ? "declare const" : "const";
    const before = `${declaration.exported ? "export " : ""}${keyword} ${declaration.name}`.length;
    const annotation =
      this.target === "js" ? "" : [": ", this.#typeReference(type, before + 2, " =")];
    if (this.target === "dts") {
      this.#declare(declaration, keyword, [annotation, ";"]);
      return;
    }
    const column = columnAfter(annotation, before) + " = ".length;
    const beside = value(column, 0);
    const code = firstLineFits(beside, { before: column, after: 1 })
      ? [" = ", beside]
      : [" =\n  ", value(2, 2)];
    this.#declare(declaration, keyword, [annotation, code, ";"]);
  }

  /** A block of lines without public declarations. */
  code(lines: readonly Code[]): void {
    this.#separate();
    this.#text.add(join(lines, "\n"));
  }

  /** Prints everything to the file. */
  finish(): void {
    this.#text.print(this.#file);
  }

  #declare({ name, exported, doc }: Declaration, keyword: string, rest: Code): void {
    this.#separate();
    this.#text.add(docComment(doc, 0));
    if (exported) this.#text.export(keyword, name);
    else this.#text.add([verbatim(`${keyword} `), this.declared(name)]);
    this.#text.add(rest);
  }

  /** Adds an empty line before the next declaration. */
  #separate(): void {
    if (!this.#text.isEmpty) this.#text.add("\n\n");
  }

  #signature(
    name: Verbatim,
    { parameters, returns }: Omit<Signature, "name">,
    line: { indent: number; before: number; after: number },
  ): Code {
    if (this.target === "js") return [name, "(", parameters.map((p) => p.name).join(", "), ")"];
    const items = parameters.map(({ name, type, optional }) => [
      name,
      optional === true ? "?: " : ": ",
      type,
    ]);
    const style: ListStyle = { open: "(", close: ")", indent: line.indent, trailingComma: true };
    const room = {
      before: line.before + name.text.length,
      after: columnAfter(returns, ": ".length) + line.after,
    };
    return [name, list(items, style, room), ": ", returns];
  }

  #typeReference({ name, args }: TypeReference, before: number, after: string): Code {
    if (args.length === 0) return name;
    const style = { open: "<", close: ">", indent: 0, trailingComma: false };
    return [name, list(args, style, { before: columnAfter(name, before), after: after.length })];
  }

  #pbPath(file: DescFile): string {
    return this.#paths.ofPb(file, this.#file);
  }

  #outputPath(file: DescFile, kind: OutputKind): string {
    // `map_imports` may import the _pb file of this .proto from a package, but not the files that
    // this run writes.
    return file === this.#source
      ? outputPath(file, kind)
      : this.#pbPath(file).replace(/_pb\.js$/, `_${kind}.js`);
  }
}

/** A type with type arguments. */
export interface TypeReference {
  readonly name: Code;
  readonly args: readonly Code[];
}

function styleOf({ jsImportStyle }: GeneratedFile, target: Target): ModuleStyle {
  if (target !== "js") return target === "ts" ? "typescript" : "declarations";
  return jsImportStyle === "module" ? "module" : "require";
}

/** A doc comment with a line break after it; nothing for an empty text. */
export function docComment(text: string, indent: number): Verbatim {
  if (text === "") return verbatim("");
  const margin = " ".repeat(indent);
  const lines = text.replaceAll("*/", "*\\/").split("\n");
  const [only] = lines;
  if (lines.length === 1 && indent + `/** ${only} */`.length <= lineWidth) {
    return verbatim(`${margin}/** ${only} */\n`);
  }
  const body = lines.map((line) => `${margin} *${line === "" ? "" : ` ${line}`}\n`);
  return verbatim(`${margin}/**\n${body.join("")}${margin} */\n`);
}
