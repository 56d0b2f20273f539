import type { DescEnum, DescField, DescMessage, DescOneof } from "@bufbuild/protobuf";
import { type Code, literal, propertyOf } from "../emit/layout.ts";
import type { Scope } from "../emit/module-names.ts";
import type { CodecNames } from "./codec-names.ts";

/** The input for the code of a file's codecs. */
export interface CodecContext {
  readonly names: CodecNames;
  /** Whether the output has types. */
  readonly typed: boolean;
  /** The type of a message or enum. */
  shape(type: DescMessage | DescEnum): Code;
  /** A function or constant that the runtime exports for generated code. */
  runtime(name: string): Code;
  /** A type that the runtime exports for generated code. */
  runtimeType(name: string): Code;
  /** The variables of a function. */
  scope(): Scope;
  /** The codec of a message of another file; undefined for one of this file. */
  codec(message: DescMessage): Code | undefined;
}

/** A type annotation if the output has types, otherwise nothing. */
export function typed(context: CodecContext, ...annotation: Code[]): Code {
  return context.typed ? annotation : "";
}

/** The three functions of a message's codec, which may be imported. */
export function functionsOf(
  context: CodecContext,
  message: DescMessage,
): { create: Code; read: Code; write: Code } {
  const codec = context.codec(message);
  if (codec === undefined) return context.names.functions(message);
  return { create: [codec, ".create"], read: [codec, ".read"], write: [codec, ".write"] };
}

/** Lines of code, indented by their nesting. */
export class Block {
  readonly lines: Code[] = [];
  #indent: string;

  constructor(indent: number) {
    this.#indent = " ".repeat(indent);
  }

  line(...code: Code[]): this {
    this.lines.push([this.#indent, ...code]);
    return this;
  }

  /** A head with an opening brace, an indented body and a tail. */
  nest(head: Code, body: () => void, tail: Code = "}"): this {
    this.line(head);
    const outer = this.#indent;
    this.#indent = `${outer}  `;
    body();
    this.#indent = outer;
    return this.line(tail);
  }
}

/** A member of a message, as an expression. */
export function member({ localName }: DescField | DescOneof): string {
  return propertyOf("message", localName);
}

/** The value of a member whose name every object inherits: only an own property counts. */
export function ownMember(context: CodecContext, field: DescField): Code {
  const own = [context.runtime("isOwn"), `(message, ${literal(field.localName)})`];
  return ["(", own, ` ? ${member(field)} : undefined)`];
}
