import { type DescField, ScalarType } from "@bufbuild/protobuf";
import { schemaDigest } from "../schema/digest.ts";
import { describedCodec, type EmitContext, initType } from "./context.ts";
import { topicDoc } from "./documentation.ts";
import { type Code, expanded, literal } from "./layout.ts";

/** Writes the topics of the file's events, and those that its subscribers keep to themselves. */
export function emitTopics(context: EmitContext): void {
  const { writer, references } = context;
  for (const [message, { kind, name, topic }] of references.topics) {
    if (kind === "imported") continue;
    const members: Code[] = [
      `name: ${literal(topic.name)}`,
      ["codec: ", describedCodec(context, message)],
    ];
    members.push(`digest: ${literal(schemaDigest(message))}`);
    if (topic.key !== undefined) members.push(["key: (event) => ", keyOf(context, topic.key)]);
    writer.constant(
      { name, exported: kind === "exported", doc: topicDoc(message) },
      { name: writer.type("Topic"), args: [writer.shape(message), initType(context, message)] },
      (_, indent) => [
        "/*@__PURE__*/ ",
        writer.topic(),
        "(",
        expanded(members, { open: "{", close: "}", indent, trailingComma: true }),
        ")",
      ],
    );
  }
}

/** The key of an event that may be given in part: an absent field counts as its default. */
function keyOf({ writer }: EmitContext, field: DescField): Code {
  const value = `event.${field.localName}`;
  const fallback = defaultOf(field);
  if (field.fieldKind === "scalar" && field.scalar === ScalarType.STRING) {
    return `${value} ?? ${literal(fallback)}`;
  }
  // Not every default has a literal that reads back as the same text, such as a large 64-bit number.
  const plain = fallback === "true" || fallback === "false" || /^-?\d{1,15}$/.test(fallback);
  return [writer.own("String"), `(${value} ?? ${plain ? fallback : literal(fallback)})`];
}

/** The text of a field's default value. */
function defaultOf(field: DescField): string {
  if (field.fieldKind !== "scalar" && field.fieldKind !== "enum") return "";
  const value = field.getDefaultValue();
  if (value !== undefined) return String(value);
  if (field.fieldKind === "enum") return String(field.enum.values[0]?.number ?? 0);
  if (field.scalar === ScalarType.STRING) return "";
  return field.scalar === ScalarType.BOOL ? "false" : "0";
}
