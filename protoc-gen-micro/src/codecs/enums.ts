import type { DescEnum, DescMessage } from "@bufbuild/protobuf";
import type { Code } from "../emit/layout.ts";
import { type CodecContext, typed } from "./codec-context.ts";

/**
 * The closed enums among the fields of messages. Their input may contain values that they do not
 * have.
 */
export function closedEnums(messages: readonly DescMessage[]): Set<DescEnum> {
  const enums = new Set<DescEnum>();
  for (const message of messages) {
    for (const field of message.fields) {
      if (field.enum !== undefined && !field.enum.open) enums.add(field.enum);
    }
  }
  return enums;
}

/** More comparisons than this take longer than a lookup in a set. */
const mostRanges = 16;

/** Writes the function that checks whether a closed enum has a value. */
export function emitIsKnown(context: CodecContext, desc: DescEnum): Code[] {
  const name = context.names.isKnown(desc);
  const head = context.typed
    ? ["function ", name, "(value: number): value is ", context.shape(desc), " {"]
    : ["function ", name, "(value) {"];
  const numbers = desc.values.map((value) => value.number);
  const found = ranges(numbers);
  if (found.length > mostRanges) {
    const values = context.names.valuesOf(desc);
    const type = typed(context, ": ReadonlySet<number>");
    const list = [...new Set(numbers)].join(", ");
    return [
      ["const ", values, type, ` = /*@__PURE__*/ new Set([${list}]);`],
      "",
      head,
      ["  return ", values, ".has(value);"],
      "}",
    ];
  }
  const conditions = found.map(([first, last]) =>
    first === last ? `value === ${first}` : `(value >= ${first} && value <= ${last})`,
  );
  const separator = conditions.length > 4 ? " ||\n    " : " || ";
  return [head, `  return ${conditions.join(separator)};`, "}"];
}

/** The numbers as ascending ranges without gaps. */
function ranges(numbers: readonly number[]): [first: number, last: number][] {
  const result: [number, number][] = [];
  for (const number of [...new Set(numbers)].sort((a, b) => a - b)) {
    const last = result.at(-1);
    if (last !== undefined && last[1] + 1 === number) last[1] = number;
    else result.push([number, number]);
  }
  return result;
}
