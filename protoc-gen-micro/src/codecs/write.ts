import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { type Code, literal } from "../emit/layout.ts";
import {
  Block,
  type CodecContext,
  functionsOf,
  member,
  ownMember,
  typed,
} from "./codec-context.ts";
import { variableNames } from "./codec-names.ts";
import { isDelimited, representation, wrappedType } from "./message-fields.ts";
import {
  defaultBytes,
  defaultOf,
  hasPrototype,
  isImplicit,
  isInherited,
  isRequired,
} from "./presence.ts";
import { scalar, tagOf } from "./scalars.ts";

/** What the functions below write with. */
interface WriteContext {
  readonly context: CodecContext;
  readonly block: Block;
  /** The variable that a member of the message has been put into. */
  readonly variables: ReadonlyMap<string, string>;
}

/**
 * Writes the function that writes a message, in the order of its fields' numbers. It takes an initializer too,
 * so every member may be absent.
 */
export function emitWrite(context: CodecContext, message: DescMessage): Code[] {
  const block = new Block(0);
  const self: WriteContext = { context, block, variables: variableNames(message) };
  const { write } = context.names.functions(message);
  const head = context.typed
    ? [
        `function ${write}(message: `,
        context.shape(message),
        ", writer: ",
        context.runtimeType("Writer"),
        "): void {",
      ]
    : `function ${write}(message, writer) {`;
  const name = literal(message.typeName);
  block.nest(head, () => {
    block.line(
      `if (message.$typeName !== ${name}) `,
      context.runtime("checkType"),
      `(message.$typeName, ${name});`,
    );
    const declared = new Set<string>();
    for (const run of runs(message)) emitRun(self, run, declared);
    block.line("if (message.$unknown !== undefined) writer.unknown(message.$unknown);");
  });
  return block.lines;
}

/** The fields in the order of their numbers, those of a oneof together where nothing stands between them. */
function runs(message: DescMessage): DescField[][] {
  const sorted = [...message.fields].sort((a, b) => a.number - b.number);
  const result: DescField[][] = [];
  for (const field of sorted) {
    const last = result.at(-1);
    if (field.oneof !== undefined && last?.[0]?.oneof === field.oneof) last.push(field);
    else result.push([field]);
  }
  return result;
}

function emitRun(self: WriteContext, run: readonly DescField[], declared: Set<string>): void {
  const [first] = run;
  if (first?.oneof !== undefined) emitOneof(self, run, declared);
  else if (first !== undefined) emitField(self, first);
}

function emitOneof(self: WriteContext, run: readonly DescField[], declared: Set<string>): void {
  const { block, variables } = self;
  const { localName } = run[0]!.oneof!;
  const variable = variables.get(localName)!;
  if (!declared.has(localName)) block.line(`const ${variable} = message.${localName};`);
  declared.add(localName);
  if (run.length === 1) {
    const field = run[0]!;
    block.nest(`if (${variable}?.case === ${literal(field.localName)}) {`, () => {
      emitValue(self, field, `${variable}.value`);
    });
    return;
  }
  block.nest(`switch (${variable}?.case) {`, () => {
    for (const field of run) {
      const scoped = field.message !== undefined;
      const body = () => {
        emitValue(self, field, `${variable}.value`);
        block.line("break;");
      };
      const head = `case ${literal(field.localName)}:`;
      if (scoped) block.nest(`${head} {`, body);
      else {
        block.nest(head, () => emitValue(self, field, `${variable}.value`), "  break;");
      }
    }
  });
}

function emitField(self: WriteContext, field: DescField): void {
  const { block, variables } = self;
  const variable = variables.get(field.localName)!;
  const value = isInherited(field.localName) ? ownMember(self.context, field) : member(field);
  block.line(`const ${variable} = `, value, ";");
  switch (field.fieldKind) {
    case "list":
      emitList(self, field, variable);
      break;
    case "map":
      emitMap(self, field, variable);
      break;
    case "message":
      emitGuarded(self, field, variable, `${variable} !== undefined`);
      break;
    default:
      emitGuarded(self, field, variable, isSet(self, field, variable));
  }
}

function emitGuarded(
  self: WriteContext,
  field: DescField,
  variable: string,
  condition: Code,
): void {
  const { block, context } = self;
  if (field.message === undefined) {
    block.line("if (", condition, ") ", valueStatement(field, variable));
    if (isRequired(field)) block.line("else ", context.runtime("required"), "();");
    return;
  }
  block.nest(
    ["if (", condition, ") {"],
    () => emitValue(self, field, variable),
    isRequired(field) ? "} else {" : "}",
  );
  if (isRequired(field)) {
    block.line("  ", context.runtime("required"), "();");
    block.line("}");
  }
}

/** The condition under which a scalar or enum field is written. */
function isSet(
  { context }: WriteContext,
  field: DescField & { fieldKind: "scalar" | "enum" },
  variable: string,
): Code {
  const zero = defaultOf(field);
  const given = `${variable} !== undefined`;
  if (isImplicit(field)) {
    if (zero === undefined) return `${given} && ${variable}.length !== 0`;
    if (zero === "false") return variable;
    if (field.fieldKind === "scalar" && isFloating(field.scalar)) {
      // -0 is not the default.
      return `${given} && (${variable} !== 0 || Object.is(${variable}, -0))`;
    }
    return `${given} && ${variable} !== ${zero}`;
  }
  if (!hasPrototype(field.parent)) return given;
  const own = [context.runtime("isOwn"), `(message, ${literal(field.localName)})`];
  // A value that is not the default cannot be the prototype's, which is quicker to see.
  const comparable =
    zero !== undefined && zero !== "Number.NaN" && defaultBytes(field) === undefined;
  return comparable
    ? [`${given} && (${variable} !== ${zero} || `, own, ")"]
    : [`${given} && `, own];
}

function isFloating(type: ScalarType): boolean {
  return type === ScalarType.DOUBLE || type === ScalarType.FLOAT;
}

/** Writes the statements that write a value of a field, whatever it is. */
function emitValue(self: WriteContext, field: DescField, value: string): void {
  if (field.message === undefined) self.block.line(valueStatement(field, value));
  else emitMessage(self, field, value, field.number);
}

/** The statement that writes a scalar or an enum. */
function valueStatement(field: DescField, value: string): string {
  const type = field.enum !== undefined ? ScalarType.INT32 : field.scalar!;
  const { method, wireType } = scalar(type);
  return `writer.${method}(${tagOf(field.number, wireType)}, ${value});`;
}

function emitMessage(self: WriteContext, field: DescField, value: string, number: number): void {
  const { block, context } = self;
  const message = field.message!;
  if (isDelimited(field)) {
    block.line(`writer.tag(${tagOf(number, 3)});`);
    block.line(functionsOf(context, message).write, `(${value}, writer);`);
    block.line(`writer.tag(${tagOf(number, 4)});`);
    return;
  }
  block.line(`const start = writer.open(${tagOf(number, 2)});`);
  switch (representation(field)) {
    case "struct":
      block.line(context.runtime("writeStruct"), `(${value}, writer);`);
      break;
    case "wrapped": {
      const type = wrappedType(message)!;
      const { method, wireType } = scalar(type);
      const isZero = wrappedZero(type, value);
      block.line(`if (!(${isZero})) writer.${method}(${tagOf(1, wireType)}, ${value});`);
      break;
    }
    default:
      block.line(functionsOf(context, message).write, `(${value}, writer);`);
  }
  block.line("writer.close(start);");
}

function wrappedZero(type: ScalarType, value: string): string {
  if (type === ScalarType.BYTES) return `${value}.length === 0`;
  if (isFloating(type)) return `Object.is(${value}, 0)`;
  if (type === ScalarType.STRING) return `${value} === ""`;
  if (type === ScalarType.BOOL) return `${value} === false`;
  return `${value} === ${scalar(type).is64 ? "0n" : "0"}`;
}

function emitList(
  self: WriteContext,
  field: DescField & { fieldKind: "list" },
  variable: string,
): void {
  const { block, context } = self;
  if (field.listKind !== "message" && field.packed) {
    const type = field.listKind === "enum" ? ScalarType.INT32 : field.scalar;
    const write = context.runtime(`writePacked${scalar(type).packed}`);
    const tag = tagOf(field.number, 2);
    block.line(
      `if (${variable} !== undefined && ${variable}.length !== 0) `,
      write,
      `(writer, ${tag}, ${variable});`,
    );
    return;
  }
  block.nest(`if (${variable} !== undefined) {`, () => {
    if (field.message === undefined) {
      block.line(`for (const value of ${variable}) ${valueStatement(field, "value")}`);
    } else {
      block.nest(`for (const value of ${variable}) {`, () => emitValue(self, field, "value"));
    }
  });
}

function emitMap(
  self: WriteContext,
  field: DescField & { fieldKind: "map" },
  variable: string,
): void {
  const { block, context } = self;
  const key = scalar(field.mapKey);
  const isString = field.mapKey === ScalarType.STRING;
  const numeric = !isString && field.mapKey !== ScalarType.BOOL && !key.is64;
  block.nest(`if (${variable} !== undefined) {`, () => {
    const loop = `for (const ${numeric ? "name" : "key"} of Object.keys(${variable})) {`;
    block.nest(loop, () => {
      if (numeric) block.line("const key = ", context.runtime("integerKey"), "(name);");
      block.line(`const value = ${variable}[key]`, typed(context, "!"), ";");
      block.line(`const entry = writer.open(${tagOf(field.number, 2)});`);
      const convert = isString || numeric ? undefined : keyFunction(field.mapKey);
      const converted = convert === undefined ? "key" : [context.runtime(convert), "(key)"];
      block.line(`writer.${key.method}(${tagOf(1, key.wireType)}, `, converted, ");");
      if (field.mapKind === "message") emitMessage(self, field, "value", 2);
      else {
        const type = field.mapKind === "enum" ? ScalarType.INT32 : field.scalar;
        const { method, wireType } = scalar(type);
        block.line(`writer.${method}(${tagOf(2, wireType)}, value);`);
      }
      block.line("writer.close(entry);");
    });
  });
}

function keyFunction(type: ScalarType): string {
  return type === ScalarType.BOOL ? "boolKey" : "int64Key";
}
