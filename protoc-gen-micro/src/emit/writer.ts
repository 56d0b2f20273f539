import type { DescEnum, DescFile, DescMessage } from "@bufbuild/protobuf";
import {
  createImportSymbol,
  type GeneratedFile,
  type ImportSymbol,
  type Printable,
} from "@bufbuild/protoplugin";
import { pbNames } from "../model/pb-names.ts";
import { type Code, fits, type ListStyle, lineWidth, list, textOf } from "./layout.ts";

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
  /** The file's own import path. A name that comes from there is used as it is, and others make way. */
  readonly #self: string;
  readonly #pbPaths: Map<DescFile, string>;
  /** What was imported so far: each is asked for in many places, and costs protoplugin a look-up in each. */
  readonly #symbols = new Map<string, Map<string, ImportSymbol>>();
  #empty = true;

  constructor(file: GeneratedFile, target: Target, path: string, pbPaths: Map<DescFile, string>) {
    this.#file = file;
    this.target = target;
    this.#self = `./${path}.js`;
    this.#pbPaths = pbPaths;
  }

  /** A name that is global or that this file declares. */
  own(name: string): ImportSymbol {
    return this.#symbol(name, this.#self, false);
  }

  /** The type of a message or enum. */
  shape(message: DescMessage | DescEnum): ImportSymbol {
    const name = pbNames(message.file).shapes.get(message)!;
    return this.#symbol(name, this.#pbPath(message.file), true);
  }

  /** The constant that describes a message. */
  schema(message: DescMessage): ImportSymbol {
    const name = pbNames(message.file).descriptors.get(message)!;
    return this.#symbol(name, this.#pbPath(message.file), this.target === "dts");
  }

  /** Something that the output of another file exports. */
  imported(name: string, from: DescFile): ImportSymbol {
    return this.#symbol(name, this.#pbPath(from).replace(/_pb\.js$/, "_micro.js"), false);
  }

  type(name: string, from = "@micro-es/runtime"): ImportSymbol {
    return this.#symbol(name, from, true);
  }

  value(name: string): ImportSymbol {
    return this.#symbol(name, "@micro-es/runtime/codegenv1", false);
  }

  /** What makes a topic, and can load more than the rest. */
  topic(): ImportSymbol {
    return this.#symbol("topic", "@micro-es/runtime/codegenv1/topic", false);
  }

  /** What makes a codec that works from its descriptor, and loads more of protobuf-es than the rest. */
  reflective(name: "codec" | "reflectCodec"): ImportSymbol {
    return createImportSymbol(name, "@micro-es/runtime/codegenv1/reflect");
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
    const [annotationStart = "", ...rest] = textOf(annotation).split("\n");
    const column = (rest.at(-1)?.length ?? before + annotationStart.length) + " = ".length;
    const beside = value(column, 0);
    const [start = ""] = textOf(beside).split("\n");
    const code = fits(start, { before: column, after: 1 })
      ? [" = ", beside]
      : [" =\n  ", value(2, 2)];
    this.#declare(declaration, keyword, [annotation, code, ";"]);
  }

  /** Lines of code that stand together and that the file keeps to itself. */
  code(lines: readonly Code[]): void {
    if (!this.#empty) this.#print([""]);
    this.#empty = false;
    this.#print(lines.map((line, index) => (index === 0 ? line : ["\n", line])));
  }

  #declare(declaration: Declaration, keyword: string, rest: Code): void {
    if (!this.#empty) this.#print([""]);
    this.#empty = false;
    const head = declaration.exported
      ? this.#file.export(keyword, declaration.name)
      : [`${keyword} `, this.own(declaration.name)];
    this.#print([docComment(declaration.doc, 0), head, rest]);
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
      after: textOf([": ", returns]).length + line.after,
    };
    return [name, list(items, style, room), ": ", returns];
  }

  #typeReference({ name, args }: TypeReference, before: number, after: string): Code {
    if (args.length === 0) return name;
    const style = { open: "<", close: ">", indent: 0, trailingComma: false };
    return [name, list(args, style, { before: before + textOf(name).length, after: after.length })];
  }

  #pbPath(file: DescFile): string {
    let path = this.#pbPaths.get(file);
    if (path === undefined) {
      // protoplugin works out the names of all that a file declares, though its path depends on none of them.
      const empty: DescFile = { ...file, messages: [], enums: [], services: [], extensions: [] };
      path = this.#file.importSchema(empty).from;
      this.#pbPaths.set(file, path);
    }
    return path;
  }

  #symbol(name: string, from: string, typeOnly: boolean): ImportSymbol {
    const key = typeOnly ? `type ${from}` : from;
    let names = this.#symbols.get(key);
    if (names === undefined) {
      names = new Map();
      this.#symbols.set(key, names);
    }
    let symbol = names.get(name);
    if (symbol === undefined) {
      symbol = createImportSymbol(name, from, typeOnly);
      names.set(name, symbol);
    }
    return symbol;
  }

  #print(code: Code): void {
    this.#file.print(joined(code) as Printable[]);
  }
}

/** The same code with as few pieces as it can have, which are what printing it costs. */
function joined(code: Code): Exclude<Code, readonly Code[]>[] {
  const pieces: Exclude<Code, readonly Code[]>[] = [];
  let text = "";
  const add = (part: Code): void => {
    if (typeof part === "string") text += part;
    else if (Array.isArray(part)) for (const inner of part as readonly Code[]) add(inner);
    else {
      if (text !== "") pieces.push(text);
      text = "";
      pieces.push(part as Exclude<Code, string | readonly Code[]>);
    }
  };
  add(code);
  if (text !== "") pieces.push(text);
  return pieces;
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
