import type { DescEnum, DescMessage } from "@bufbuild/protobuf";
import type { Code } from "../emit/layout.ts";
import type { CodecContext } from "./codec-context.ts";

/** The closed enums that messages have fields of. What comes for one of these may be no value of it. */
export function closedEnums(messages: readonly DescMessage[]): Set<DescEnum> {
  const enums = new Set<DescEnum>();
  for (const message of messages) {
    for (const field of message.fields) {
      if (field.enum !== undefined && !field.enum.open) enums.add(field.enum);
    }
  }
  return enums;
}

/** Writes the function that tells whether a closed enum has a value. */
export function emitIsKnown(context: CodecContext, desc: DescEnum): Code[] {
  const name = context.names.isKnown(desc);
  const conditions = ranges(desc.values.map((value) => value.number)).map(([first, last]) =>
    first === last ? `value === ${first}` : `(value >= ${first} && value <= ${last})`,
  );
  const head = context.typed
    ? [`function ${name}(value: number): value is `, context.shape(desc), " {"]
    : `function ${name}(value) {`;
  const separator = conditions.length > 4 ? " ||\n    " : " || ";
  return [head, `  return ${conditions.join(separator)};`, "}"];
}

/** The numbers as ranges without gaps, in their order. */
function ranges(numbers: readonly number[]): [first: number, last: number][] {
  const result: [number, number][] = [];
  for (const number of [...new Set(numbers)].sort((a, b) => a - b)) {
    const last = result.at(-1);
    if (last !== undefined && last[1] + 1 === number) last[1] = number;
    else result.push([number, number]);
  }
  return result;
}
