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
import { scalar, tagBytes, tagOf } from "./scalars.ts";

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
        ", pos: number): number {",
      ]
    : `function ${write}(message, writer, pos) {`;
  const name = literal(message.typeName);
  block.nest(head, () => {
    block.line(context.runtime("checkType"), `(message, ${name});`);
    if (message.fields.some(isStored)) {
      block.line("let bytes", typed(context, ": Uint8Array"), ";");
    }
    const declared = new Set<string>();
    for (const run of runs(message)) emitRun(self, run, declared);
    block.line("return ", context.runtime("putUnknown"), "(writer, pos, message.$unknown);");
  });
  return block.lines;
}

/**
 * The fields in the order of their numbers. Those of a oneof are together where nothing stands between them, and
 * so are those whose size is limited, because one look is enough for room for all of them.
 */
function runs(message: DescMessage): DescField[][] {
  const sorted = [...message.fields].sort((a, b) => a.number - b.number);
  const result: DescField[][] = [];
  for (const field of sorted) {
    const last = result.at(-1);
    const [before] = last ?? [];
    if (before !== undefined && field.oneof === before.oneof && belongTogether(before, field)) {
      last!.push(field);
    } else result.push([field]);
  }
  return result;
}

function belongTogether(one: DescField, other: DescField): boolean {
  return one.oneof !== undefined || (mostBytes(one) > 0 && mostBytes(other) > 0);
}

/** The most bytes that a field takes; 0 where there is no limit. */
function mostBytes(field: DescField): number {
  if (field.fieldKind !== "scalar" && field.fieldKind !== "enum") return 0;
  const { most, wireType } = scalar(scalarType(field));
  return most === 0 ? 0 : tagBytes(tagOf(field.number, wireType)).length + most;
}

/** Whether some of what a field consists of is stored directly, for which the function needs the bytes at hand. */
function isStored(field: DescField): boolean {
  if (field.fieldKind === "map") return true;
  if (field.message !== undefined) return !isDelimited(field);
  return isLimited(field) && !(field.fieldKind === "list" && field.packed);
}

function isLimited(field: DescField): boolean {
  return field.message === undefined && scalar(scalarType(field)).most > 0;
}

/** The scalar type that a field's value is written as. */
function scalarType(field: DescField): ScalarType {
  return field.enum !== undefined ? ScalarType.INT32 : field.scalar!;
}

function emitRun(self: WriteContext, run: readonly DescField[], declared: Set<string>): void {
  if (run[0]!.oneof !== undefined) {
    emitOneof(self, run, declared);
    return;
  }
  const most = run.reduce((sum, field) => sum + mostBytes(field), 0);
  if (most > 0) emitRoom(self, most);
  for (const field of run) emitField(self, field);
}

/** Writes the statement that makes room for values that are about to be stored. */
function emitRoom({ block, context }: WriteContext, size: number): void {
  block.line("bytes = ", context.runtime("room"), `(writer, pos + ${size});`);
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
  // To compare what is mostly undefined with text costs the engine more than one look before.
  block.nest(`if (${variable}?.case !== undefined) {`, () => {
    block.nest(`switch (${variable}.case) {`, () => {
      for (const field of run) {
        const head = `case ${literal(field.localName)}:`;
        if (field.message === undefined) {
          block.nest(head, () => emitValue(self, field, `${variable}.value`), "  break;");
          continue;
        }
        block.nest(`${head} {`, () => {
          emitValue(self, field, `${variable}.value`);
          block.line("break;");
        });
      }
    });
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
  const tail = isRequired(field) ? ["} else ", context.runtime("required"), "();"] : "}";
  const body = () =>
    mostBytes(field) > 0
      ? emitStore(self, scalarType(field), field.number, variable)
      : emitValue(self, field, variable);
  block.nest(["if (", condition, ") {"], body, tail);
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
    if (zero === "0n") return [context.runtime("isNonzero"), `(${variable})`];
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
  if (field.message === undefined) emitScalar(self, scalarType(field), field.number, value);
  else emitMessage(self, field, value, field.number);
}

/** Writes the statements that write a scalar, and make room for it. */
function emitScalar(
  self: WriteContext,
  type: ScalarType,
  number: number,
  value: Code,
  as: "Key" | "" = "",
): void {
  const { name, wireType, most } = scalar(type);
  if (most > 0) {
    emitRoom(self, tagBytes(tagOf(number, wireType)).length + most);
    emitStore(self, type, number, value, as);
    return;
  }
  const put = self.context.runtime(`put${name}`);
  self.block.line("pos = ", put, `(writer, pos, ${tagOf(number, wireType)}, `, value, ");");
}

/**
 * Writes the statements that store a tag and a scalar, for which there is room.
 * @param as what the name of the function that stores it ends with
 */
function emitStore(
  self: WriteContext,
  type: ScalarType,
  number: number,
  value: Code,
  as: "Key" | "" = "",
): void {
  const { block, context } = self;
  const { name, wireType } = scalar(type);
  const size = emitTag(self, tagOf(number, wireType));
  const store = context.runtime(`store${name}${as}`);
  block.line("pos = ", store, `(bytes, ${plus("pos", size)}, `, value, ");");
}

/** Writes the statements that store a tag, for which there is room, and returns its size. */
function emitTag({ block }: WriteContext, tag: number): number {
  const bytes = tagBytes(tag);
  bytes.forEach((byte, index) => {
    block.line(`bytes[${plus("pos", index)}] = ${byte};`);
  });
  return bytes.length;
}

function plus(variable: string, offset: number): string {
  return offset === 0 ? variable : `${variable} + ${offset}`;
}

function emitMessage(self: WriteContext, field: DescField, value: string, number: number): void {
  const { block, context } = self;
  const message = field.message!;
  if (isDelimited(field)) {
    const putTag = context.runtime("putTag");
    const start = [putTag, `(writer, pos, ${tagOf(number, 3)})`];
    const end = [functionsOf(context, message).write, `(${value}, writer, `, start, ")"];
    block.line("pos = ", putTag, "(writer, ", end, `, ${tagOf(number, 4)});`);
    return;
  }
  emitOpen(self, number, "start");
  switch (representation(field)) {
    case "struct":
      block.line("pos = ", context.runtime("writeStruct"), `(${value}, writer, start);`);
      break;
    case "wrapped": {
      const type = wrappedType(message)!;
      block.line("pos = start;");
      block.nest(`if (!(${wrappedZero(type, value)})) {`, () => emitScalar(self, type, 1, value));
      break;
    }
    case "message":
      block.line("pos = ", functionsOf(context, message).write, `(${value}, writer, start);`);
  }
  emitClose(self, "start");
}

/** Writes the statements that begin something with a length, which is taken to need one byte, and keep where it starts. */
function emitOpen(self: WriteContext, number: number, start: string): void {
  const tag = tagOf(number, 2);
  const size = tagBytes(tag).length + 1;
  emitRoom(self, size);
  emitTag(self, tag);
  self.block.line(`const ${start} = ${plus("pos", size)};`);
}

/** Writes the statements that end something with a length. A length of more than one byte moves it. */
function emitClose({ block, context }: WriteContext, start: string): void {
  block.line(`if (pos - ${start} < 0x80) writer.bytes[${start} - 1] = pos - ${start};`);
  block.line("else pos = ", context.runtime("closeLength"), `(writer, ${start}, pos);`);
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
  const length = [context.runtime("lengthOf"), `(${variable})`];
  const condition = [`if (${variable} !== undefined && `, length, " !== 0) "];
  if (field.listKind !== "message" && field.packed) {
    const type = scalarType(field);
    const write = context.runtime(`writePacked${scalar(type).name}`);
    const tag = tagOf(field.number, 2);
    block.line(condition, "pos = ", write, `(writer, pos, ${tag}, ${variable});`);
    return;
  }
  block.nest([condition, "{"], () => {
    emitLoop(self, variable, "value", () => emitValue(self, field, "value"));
  });
}

/** Writes a loop over a list. By index: iterators cost more than many a value, and as much for an empty list. */
function emitLoop(
  { block, context }: WriteContext,
  list: string,
  element: string,
  body: () => void,
): void {
  block.nest(`for (let i = 0; i < ${list}.length; i++) {`, () => {
    block.line(`const ${element} = ${list}[i]`, typed(context, "!"), ";");
    body();
  });
}

function emitMap(
  self: WriteContext,
  field: DescField & { fieldKind: "map" },
  variable: string,
): void {
  const { block, context } = self;
  const tag = tagOf(field.number, 2);
  const most = mostBytesOfEntry(field);
  block.nest(`if (${variable} !== undefined) {`, () => {
    block.line("const keys = ", keysOf(context, field, variable), ";");
    emitLoop(self, "keys", "key", () => {
      block.line(`const value = ${variable}[key]`, typed(context, "!"), ";");
      if (most > 0) {
        // One look makes room for all of it, and its length takes one byte.
        const begin = tagBytes(tag).length + 1;
        emitRoom(self, begin + most);
        emitTag(self, tag);
        block.line(`const entry = ${plus("pos", begin)};`);
        block.line("pos = entry;");
        emitKey(self, field.mapKey, emitStore);
        emitStore(self, scalarType(field), 2, "value");
        block.line("bytes[entry - 1] = pos - entry;");
        return;
      }
      emitOpen(self, field.number, "entry");
      block.line("pos = entry;");
      emitKey(self, field.mapKey, emitScalar);
      if (field.mapKind === "message") emitMessage(self, field, "value", 2);
      else emitScalar(self, scalarType(field), 2, "value");
      emitClose(self, "entry");
    });
  });
}

/** The most bytes that an entry of a map takes within its length; 0 where there is no limit. */
function mostBytesOfEntry(field: DescField & { fieldKind: "map" }): number {
  if (field.mapKind === "message") return 0;
  const key = scalar(field.mapKey).most;
  const value = scalar(scalarType(field)).most;
  return key === 0 || value === 0 ? 0 : 2 + key + value;
}

/** The keys of a map. */
function keysOf(
  context: CodecContext,
  { mapKey }: DescField & { fieldKind: "map" },
  variable: string,
): Code {
  if (mapKey === ScalarType.STRING || mapKey === ScalarType.BOOL) return `Object.keys(${variable})`;
  const keys = scalar(mapKey).is64 ? "longKeys" : "integerKeys";
  return [context.runtime(keys), `(${variable})`];
}

/** Writes the statements that write the key of a map's entry, by one of the functions for scalars. */
function emitKey(self: WriteContext, type: ScalarType, emit: typeof emitStore): void {
  const isBool = type === ScalarType.BOOL;
  const key = isBool ? [self.context.runtime("boolKey"), "(key)"] : "key";
  emit(self, type, 1, key, scalar(type).is64 ? "Key" : "");
}
