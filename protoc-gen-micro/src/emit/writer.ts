import type { DescEnum, DescFile, DescMessage } from "@bufbuild/protobuf";
import type { GeneratedFile } from "@bufbuild/protoplugin";
import { pbNames } from "../model/pb-names.ts";
import type { ImportPaths } from "./import-paths.ts";
import {
  type Code,
  columnBehind,
  firstLineFits,
  join,
  type ListStyle,
  lineWidth,
  list,
  type Name,
} from "./layout.ts";
import { ModuleText } from "./module-text.ts";

export type Target = "ts" | "js" | "dts";

export interface Parameter {
  readonly name: string;
  readonly type: Code;
  readonly optional?: boolean;
}

/** A function's or method's head. */
export interface Signature {
  readonly name: string;
  readonly parameters: readonly Parameter[];
  readonly returns: Code;
}

/** What can stand on the top level of an output file. */
interface Declaration {
  readonly name: string;
  readonly exported: boolean;
  readonly doc: string;
}

/**
 * Writes one output file in one of the three targets: everything is said once, and what a target does not have
 * (types in JavaScript, bodies in declarations) is left out here.
 */
export class Writer {
  readonly #file: GeneratedFile;
  readonly target: Target;
  readonly #paths: ImportPaths;
  readonly #text: ModuleText;

  /** @param path of the file without its extension */
  constructor(file: GeneratedFile, target: Target, path: string, paths: ImportPaths) {
    this.#file = file;
    this.target = target;
    this.#paths = paths;
    this.#text = new ModuleText(`./${path}.js`, paths);
  }

  /** A name that is global or that this file declares. */
  own(name: string): Name {
    return this.#text.own(name);
  }

  /** The type of a message or enum. */
  shape(message: DescMessage | DescEnum): Name {
    const name = pbNames(message.file).shapes.get(message)!;
    return this.#text.name(name, this.#pbPath(message.file), true);
  }

  /** The constant that describes a message. */
  schema(message: DescMessage, typeOnly: boolean = this.target === "dts"): Name {
    const name = pbNames(message.file).descriptors.get(message)!;
    return this.#text.name(name, this.#pbPath(message.file), typeOnly);
  }

  /** Something that the output of another file exports. */
  imported(name: string, from: DescFile, typeOnly = false): Name {
    return this.#text.name(name, this.#pbPath(from).replace(/_pb\.js$/, "_micro.js"), typeOnly);
  }

  type(name: string, from = "@micro-es/runtime"): Name {
    return this.#text.name(name, from, true);
  }

  value(name: string): Name {
    return this.#text.name(name, "@micro-es/runtime/codegenv1", false);
  }

  /** What makes a topic, and can load more than the rest. */
  topic(): Name {
    return this.#text.name("topic", "@micro-es/runtime/codegenv1/topic", false);
  }

  /** What makes a codec that works from its descriptor, and loads more of protobuf-es than the rest. */
  reflective(name: "codec" | "reflectCodec"): Name {
    return this.#text.name(name, "@micro-es/runtime/codegenv1/reflect", false);
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
        this.#signature(method, { indent: 2, before: 2, after: 1 }),
        ";",
      ]),
      "\n}",
    ]);
  }

  /** @param body whole lines, indented by two */
  function(declaration: Declaration, signature: Omit<Signature, "name">, body: Code[]): void {
    const keyword = this.target === "dts" ? "declare function" : "function";
    const before = `export ${keyword} ${declaration.name}`.length;
    const head = this.#signature({ ...signature, name: "" }, { indent: 0, before, after: 2 });
    const block = this.target === "dts" ? ";" : [" {\n", body.map((line) => [line, "\n"]), "}"];
    this.#declare(declaration, keyword, [head, block]);
  }

  /** @param value is given the columns before it, and by how many its line is indented */
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
    const column = columnBehind(annotation, before) + " = ".length;
    const beside = value(column, 0);
    const code = firstLineFits(beside, { before: column, after: 1 })
      ? [" = ", beside]
      : [" =\n  ", value(2, 2)];
    this.#declare(declaration, keyword, [annotation, code, ";"]);
  }

  /** Lines of code that stand together and that the file keeps to itself. */
  code(lines: readonly Code[]): void {
    this.#separate();
    this.#text.add(join(lines, "\n"));
  }

  /** Hands everything over to the file. */
  finish(): void {
    this.#text.print(this.#file);
  }

  #declare({ name, exported, doc }: Declaration, keyword: string, rest: Code): void {
    this.#separate();
    this.#text.add(docComment(doc, 0));
    if (exported) this.#text.export(keyword, name);
    else this.#text.add([`${keyword} `, this.own(name)]);
    this.#text.add(rest);
  }

  /** An empty line before what follows, which is whole lines without the last line break. */
  #separate(): void {
    if (!this.#text.isEmpty) this.#text.add("\n\n");
  }

  #signature(
    { name, parameters, returns }: Signature,
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
      before: line.before + name.length,
      after: columnBehind(returns, ": ".length) + line.after,
    };
    return [name, list(items, style, room), ": ", returns];
  }

  #typeReference({ name, args }: TypeReference, before: number, after: string): Code {
    if (args.length === 0) return name;
    const style = { open: "<", close: ">", indent: 0, trailingComma: false };
    return [name, list(args, style, { before: columnBehind(name, before), after: after.length })];
  }

  #pbPath(file: DescFile): string {
    return this.#paths.ofPb(file, this.#file);
  }
}

/** A type with type arguments. */
export interface TypeReference {
  readonly name: Code;
  readonly args: readonly Code[];
}

/** A doc comment with its line break; nothing for an empty text. */
export function docComment(text: string, indent: number): string {
  if (text === "") return "";
  const margin = " ".repeat(indent);
  const lines = text.replaceAll("*/", "*\\/").split("\n");
  const [only] = lines;
  if (lines.length === 1 && indent + `/** ${only} */`.length <= lineWidth) {
    return `${margin}/** ${only} */\n`;
  }
  const body = lines.map((line) => `${margin} *${line === "" ? "" : ` ${line}`}\n`);
  return `${margin}/**\n${body.join("")}${margin} */\n`;
}
