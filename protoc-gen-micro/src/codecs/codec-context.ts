import type { DescEnum, DescField, DescMessage } from "@bufbuild/protobuf";
import type { Code } from "../emit/layout.ts";
import type { CodecNames } from "./codec-names.ts";

/** What the code of a file's codecs is written from. */
export interface CodecContext {
  readonly names: CodecNames;
  /** Whether the output is TypeScript, and has types. */
  readonly typed: boolean;
  /** The type of a message or enum. */
  shape(type: DescMessage | DescEnum): Code;
  /** Something that the runtime exports for generated code. */
  runtime(name: string): Code;
  /** A type that the runtime exports for generated code. */
  runtimeType(name: string): Code;
  /** The codec of a message of another file; undefined for one of this file. */
  codec(message: DescMessage): Code | undefined;
}

/** A type annotation, where the output has types. */
export function typed(context: CodecContext, ...annotation: Code[]): Code {
  return context.typed ? annotation : "";
}

/** The three functions of a message's codec, wherever it comes from. */
export function functionsOf(
  context: CodecContext,
  message: DescMessage,
): { create: Code; read: Code; write: Code } {
  const codec = context.codec(message);
  if (codec === undefined) return context.names.functions(message);
  return { create: [codec, ".create"], read: [codec, ".read"], write: [codec, ".write"] };
}

/** Lines of code that are indented as deeply as they are nested. */
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

  /** A head that opens a brace, and what stands in it. */
  nest(head: Code, body: () => void, tail: Code = "}"): this {
    this.line(head);
    const outer = this.#indent;
    this.#indent = `${outer}  `;
    body();
    this.#indent = outer;
    return this.line(tail);
  }
}

/** A field's name for use as a member, which protobuf-es has made safe for that. */
export function member(field: DescField): string {
  return `message.${field.localName}`;
}

/** A member that every object inherits something under the name of: it counts when it is the message's own. */
export function ownMember(context: CodecContext, field: DescField): Code {
  const own = [context.runtime("isOwn"), `(message, ${JSON.stringify(field.localName)})`];
  return ["(", own, ` ? ${member(field)} : undefined)`];
}
