import { type DescField, type DescMessage, type DescOneof, ScalarType } from "@bufbuild/protobuf";
import { type Code, literal, type Name } from "../emit/layout.ts";
import {
  Block,
  type CodecContext,
  functionsOf,
  member,
  ownMember,
  typed,
} from "./codec-context.ts";
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

/** The state of the functions below. */
interface WriteContext {
  readonly context: CodecContext;
  readonly block: Block;
  /** The variable that holds a member of the message. */
  readonly variables: ReadonlyMap<DescField | DescOneof, Name>;
}

/**
 * The type checker gives up on functions with about two thousand branches, and V8 runs large
 * functions slowly.
 */
const mostFieldsOfFunction = 100;

/**
 * Writes the function that writes a message, with fields in the order of their numbers. It also
 * accepts initializers, so any member may be absent. For a message with very many fields it is
 * split into several functions.
 */
export function emitWrite(context: CodecContext, message: DescMessage): Code[] {
  const { write } = context.names.functions(message);
  const parts = partsOf(message);
  const block = new Block(0);
  parts.slice(1).forEach((part, index) => {
    const name = context.names.part("write", message, index + 1);
    block.nest(head(context, message, name), () => {
      emitRuns(context, message, part, block);
      block.line("return pos;");
    });
    block.line();
  });
  block.nest(head(context, message, write), () => {
    block.line(context.runtime("checkType"), `(message, ${literal(message.typeName)});`);
    emitRuns(context, message, parts[0] ?? [], block);
    parts.slice(1).forEach((_, index) => {
      const name = context.names.part("write", message, index + 1);
      block.line("pos = ", name, "(message, writer, pos);");
    });
    const kept = [context.runtime("putKept"), "(writer, pos, message)"];
    block.line("return message.$unknown === undefined ? pos : ", kept, ";");
  });
  return block.lines;
}

function head(context: CodecContext, message: DescMessage, name: Name): Code {
  if (!context.typed) return ["function ", name, "(message, writer, pos) {"];
  const shape = context.shape(message);
  const writer = context.runtimeType("Writer");
  return ["function ", name, "(message: ", shape, ", writer: ", writer, ", pos: number): number {"];
}

/** Writes the statements that write these fields. */
function emitRuns(
  context: CodecContext,
  message: DescMessage,
  fields: readonly DescField[][],
  block: Block,
): void {
  const scope = context.scope();
  const members = new Set(fields.flat().map((field) => field.oneof ?? field));
  const variables = new Map(
    message.members
      .filter((member) => members.has(member))
      .map((member) => [member, scope.local(member.localName)]),
  );
  const self: WriteContext = { context, block, variables };
  if (fields.some((run) => run.some(isStored))) {
    block.line("let bytes", typed(context, ": Uint8Array"), ";");
  }
  const declared = new Set<DescOneof>();
  for (const run of fields) emitRun(self, run, declared);
}

/** The runs of a message's fields, grouped by the function that writes them. */
function partsOf(message: DescMessage): DescField[][][] {
  const parts: DescField[][][] = [];
  let size = mostFieldsOfFunction;
  for (const run of runs(message)) {
    // A oneof counts as one field, because only one of its fields is written.
    const added = run[0]!.oneof === undefined ? run.length : 1;
    if (size + added > mostFieldsOfFunction) {
      parts.push([]);
      size = 0;
    }
    parts.at(-1)!.push(run);
    size += added;
  }
  return parts;
}

/**
 * The fields in the order of their numbers. Adjacent fields of a oneof form a run, and so do
 * adjacent fields with a maximum size, because one check makes room for all of them.
 */
function runs(message: DescMessage): DescField[][] {
  const sorted = [...message.fields].sort((a, b) => a.number - b.number);
  const result: DescField[][] = [];
  for (const field of sorted) {
    const last = result.at(-1);
    const [before] = last ?? [];
    const isFull = field.oneof === undefined && last?.length === mostFieldsOfFunction;
    if (
      before !== undefined &&
      !isFull &&
      field.oneof === before.oneof &&
      belongTogether(before, field)
    ) {
      last!.push(field);
    } else result.push([field]);
  }
  return result;
}

function belongTogether(one: DescField, other: DescField): boolean {
  return one.oneof !== undefined || (mostBytes(one) > 0 && mostBytes(other) > 0);
}

/** The maximum size of a field in bytes; 0 for no maximum. */
function mostBytes(field: DescField): number {
  if (field.fieldKind !== "scalar" && field.fieldKind !== "enum") return 0;
  const { most, wireType } = scalar(scalarType(field));
  return most === 0 ? 0 : tagBytes(tagOf(field.number, wireType)).length + most;
}

/** Whether part of a field is stored directly, for which the function needs the array of bytes. */
function isStored(field: DescField): boolean {
  if (field.fieldKind === "map") return true;
  if (field.message !== undefined) return !isDelimited(field);
  return isLimited(field) && !(field.fieldKind === "list" && field.packed);
}

function isLimited(field: DescField): boolean {
  return field.message === undefined && scalar(scalarType(field)).most > 0;
}

/** The scalar type with which a field's value is written. */
function scalarType(field: DescField): ScalarType {
  return field.enum !== undefined ? ScalarType.INT32 : field.scalar!;
}

function emitRun(self: WriteContext, run: readonly DescField[], declared: Set<DescOneof>): void {
  if (run[0]!.oneof !== undefined) {
    emitOneof(self, run, declared);
    return;
  }
  const most = run.reduce((sum, field) => sum + mostBytes(field), 0);
  if (most > 0) emitRoom(self, most);
  for (const field of run) emitField(self, field);
}

/** Writes the statement that makes room for the values stored next. */
function emitRoom({ block, context }: WriteContext, size: number): void {
  block.line("bytes = ", context.runtime("room"), `(writer, pos + ${size});`);
}

function emitOneof(self: WriteContext, run: readonly DescField[], declared: Set<DescOneof>): void {
  const { block, variables } = self;
  const oneof = run[0]!.oneof!;
  const variable = variables.get(oneof)!;
  const value = [variable, ".value"];
  if (!declared.has(oneof)) block.line("const ", variable, ` = ${member(oneof)};`);
  declared.add(oneof);
  if (run.length === 1) {
    const field = run[0]!;
    block.nest(["if (", variable, `?.case === ${literal(field.localName)}) {`], () => {
      emitValue(self, field, value);
    });
    return;
  }
  // Comparing a case that is mostly undefined with strings is slower than checking for undefined
  // first.
  block.nest(["if (", variable, "?.case !== undefined) {"], () => {
    block.nest(["switch (", variable, ".case) {"], () => {
      for (const field of run) {
        const head = `case ${literal(field.localName)}:`;
        if (field.message === undefined) {
          block.nest(head, () => emitValue(self, field, value), "  break;");
          continue;
        }
        block.nest(`${head} {`, () => {
          emitValue(self, field, value);
          block.line("break;");
        });
      }
    });
  });
}

function emitField(self: WriteContext, field: DescField): void {
  const { block, variables } = self;
  const variable = variables.get(field)!;
  const value = isInherited(field.localName) ? ownMember(self.context, field) : member(field);
  block.line("const ", variable, " = ", value, ";");
  switch (field.fieldKind) {
    case "list":
      emitList(self, field, variable);
      break;
    case "map":
      emitMap(self, field, variable);
      break;
    case "message":
      emitGuarded(self, field, variable, [variable, " !== undefined"]);
      break;
    default:
      emitGuarded(self, field, variable, isSet(self, field, variable));
  }
}

function emitGuarded(self: WriteContext, field: DescField, variable: Code, condition: Code): void {
  const { block, context } = self;
  const tail = isRequired(field) ? ["} else ", context.runtime("required"), "();"] : "}";
  const body = () =>
    mostBytes(field) > 0
      ? emitStore(self, scalarType(field), field.number, variable)
      : emitValue(self, field, variable);
  block.nest(["if (", condition, ") {"], body, tail);
}

/** The condition for writing a scalar or enum field. */
function isSet(
  { context }: WriteContext,
  field: DescField & { fieldKind: "scalar" | "enum" },
  variable: Code,
): Code {
  const zero = defaultOf(field);
  const given: Code = [variable, " !== undefined"];
  if (isImplicit(field)) {
    if (zero === undefined) return [given, " && ", variable, ".length !== 0"];
    if (zero === "false") return variable;
    if (field.fieldKind === "scalar" && isFloating(field.scalar)) {
      // -0 is not the default value.
      return [given, " && (", variable, " !== 0 || Object.is(", variable, ", -0))"];
    }
    if (zero === "0n") {
      const nonzero = [context.runtime("isNonzero"), "(", variable, ")"];
      // TypeScript expects every member to be present; an absent one is zero.
      return isInherited(field.localName) ? [given, " && ", nonzero] : nonzero;
    }
    return [given, " && ", variable, ` !== ${zero}`];
  }
  if (!hasPrototype(field.parent)) return given;
  const own = [context.runtime("isOwn"), `(message, ${literal(field.localName)})`];
  // A value that differs from the default is not inherited, which is faster to check.
  const comparable =
    zero !== undefined && zero !== "Number.NaN" && defaultBytes(field) === undefined;
  return comparable
    ? [given, " && (", variable, ` !== ${zero} || `, own, ")"]
    : [given, " && ", own];
}

function isFloating(type: ScalarType): boolean {
  return type === ScalarType.DOUBLE || type === ScalarType.FLOAT;
}

/** Writes the statements that write a value of a field of any type. */
function emitValue(self: WriteContext, field: DescField, value: Code): void {
  if (field.message === undefined) emitScalar(self, scalarType(field), field.number, value);
  else emitMessage(self, field, value, field.number);
}

/** Writes the statements that make room for a scalar and write it. */
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
 * Writes the statements that store a tag and a scalar for which there is already room.
 * @param as the suffix of the name of the function that stores it
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

/** Writes the statements that store a tag for which there is already room, and returns its size. */
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

function emitMessage(self: WriteContext, field: DescField, value: Code, number: number): void {
  const { block, context } = self;
  const message = field.message!;
  if (isDelimited(field)) {
    const putTag = context.runtime("putTag");
    const start = [putTag, `(writer, pos, ${tagOf(number, 3)})`];
    const end = [functionsOf(context, message).write, "(", value, ", writer, ", start, ")"];
    block.line("pos = ", putTag, "(writer, ", end, `, ${tagOf(number, 4)});`);
    return;
  }
  emitOpen(self, number, "start");
  switch (representation(field)) {
    case "struct":
      block.line("pos = ", context.runtime("writeStruct"), "(", value, ", writer, start);");
      break;
    case "wrapped": {
      const type = wrappedType(message)!;
      block.line("pos = start;");
      block.nest(["if (!(", wrappedZero(type, value), ")) {"], () =>
        emitScalar(self, type, 1, value),
      );
      break;
    }
    case "message":
      block.line("pos = ", functionsOf(context, message).write, "(", value, ", writer, start);");
  }
  emitClose(self, "start");
}

/**
 * Writes the statements that begin a length-delimited value. They reserve one byte for the length.
 */
function emitOpen(self: WriteContext, number: number, start: string): void {
  const tag = tagOf(number, 2);
  const size = tagBytes(tag).length + 1;
  emitRoom(self, size);
  emitTag(self, tag);
  self.block.line(`const ${start} = ${plus("pos", size)};`);
}

/**
 * Writes the statements that end a length-delimited value. It is moved if its length takes more
 * than one byte.
 */
function emitClose({ block, context }: WriteContext, start: string): void {
  block.line(`if (pos - ${start} < 0x80) writer.bytes[${start} - 1] = pos - ${start};`);
  block.line("else pos = ", context.runtime("closeLength"), `(writer, ${start}, pos);`);
}

function wrappedZero(type: ScalarType, value: Code): Code {
  if (type === ScalarType.BYTES) return [value, ".length === 0"];
  if (isFloating(type)) return ["Object.is(", value, ", 0)"];
  if (type === ScalarType.STRING) return [value, ' === ""'];
  if (type === ScalarType.BOOL) return [value, " === false"];
  return [value, ` === ${scalar(type).is64 ? "0n" : "0"}`];
}

function emitList(
  self: WriteContext,
  field: DescField & { fieldKind: "list" },
  variable: Code,
): void {
  const { block, context } = self;
  const length = [context.runtime("lengthOf"), "(", variable, ")"];
  const condition = ["if (", variable, " !== undefined && ", length, " !== 0) "];
  if (field.listKind !== "message" && field.packed) {
    const type = scalarType(field);
    const write = context.runtime(`writePacked${scalar(type).name}`);
    const tag = tagOf(field.number, 2);
    block.line(condition, "pos = ", write, `(writer, pos, ${tag}, `, variable, ");");
    return;
  }
  block.nest([condition, "{"], () => {
    emitLoop(self, variable, "value", () => emitValue(self, field, "value"));
  });
}

/** Writes a loop over a list, by index, because iterators are slow even for empty lists. */
function emitLoop(
  { block, context }: WriteContext,
  list: Code,
  element: string,
  body: () => void,
): void {
  block.nest(["for (let i = 0; i < ", list, ".length; i++) {"], () => {
    block.line(`const ${element} = `, list, "[i]", typed(context, "!"), ";");
    body();
  });
}

function emitMap(
  self: WriteContext,
  field: DescField & { fieldKind: "map" },
  variable: Code,
): void {
  const { block, context } = self;
  const tag = tagOf(field.number, 2);
  const most = mostBytesOfEntry(field);
  block.nest(["if (", variable, " !== undefined) {"], () => {
    block.line("const keys = ", keysOf(context, field, variable), ";");
    emitLoop(self, "keys", "key", () => {
      block.line("const value = ", variable, "[key]", typed(context, "!"), ";");
      if (most > 0) {
        // One check makes room for the whole entry, whose length takes one byte.
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

/** The maximum size of a map entry in bytes, without its length; 0 for no maximum. */
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
  variable: Code,
): Code {
  if (mapKey === ScalarType.STRING || mapKey === ScalarType.BOOL) {
    return ["Object.keys(", variable, ")"];
  }
  const keys = scalar(mapKey).is64 ? "longKeys" : "integerKeys";
  return [context.runtime(keys), "(", variable, ")"];
}

/**
 * Writes the statements that write the key of a map entry with one of the functions for scalars.
 */
function emitKey(self: WriteContext, type: ScalarType, emit: typeof emitStore): void {
  const isBool = type === ScalarType.BOOL;
  const key = isBool ? [self.context.runtime("boolKey"), "(key)"] : "key";
  emit(self, type, 1, key, scalar(type).is64 ? "Key" : "");
}
