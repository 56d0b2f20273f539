import { type DescField, ScalarType } from "@bufbuild/protobuf";
import { schemaDigest } from "../schema/digest.ts";
import { describedCodec, type EmitContext, initType } from "./context.ts";
import { topicDoc } from "./documentation.ts";
import { type Code, expanded, labelled, literal, propertyOf } from "./layout.ts";

/** Writes the topics of the file's events, and unexported ones for its subscribers. */
export function emitTopics(context: EmitContext): void {
  const { writer, references } = context;
  for (const [message, { kind, name, topic }] of references.topics) {
    if (kind === "imported") continue;
    const members = (indent: number): Code[] => [
      `name: ${literal(topic.name)}`,
      labelled("codec: ", indent, (line) => describedCodec(context, message, line)),
      `digest: ${literal(schemaDigest(message))}`,
      ...(topic.key === undefined ? [] : [["key: (event) => ", keyOf(topic.key)]]),
    ];
    writer.constant(
      { name, exported: kind === "exported", doc: topicDoc(message) },
      { name: writer.type("Topic"), args: [writer.shape(message), initType(context, message)] },
      (_, indent) => [
        "/*@__PURE__*/ ",
        writer.topic(),
        "(",
        expanded(members(indent + 2), { open: "{", close: "}", indent, trailingComma: true }),
        ")",
      ],
    );
  }
}

/** The key of an event's initializer: an absent field counts as its default. */
function keyOf(field: DescField): Code {
  const value = propertyOf("event", field.localName);
  const fallback = defaultOf(field);
  if (field.fieldKind === "scalar" && field.scalar === ScalarType.STRING) {
    return `${value} ?? ${literal(fallback)}`;
  }
  // Some defaults, such as large 64-bit numbers, have no literal that converts back to the same
  // text.
  const plain = fallback === "true" || fallback === "false" || /^-?\d{1,15}$/.test(fallback);
  return `String(${value} ?? ${plain ? fallback : literal(fallback)})`;
}

/** The default value of a field as text. */
function defaultOf(field: DescField): string {
  if (field.fieldKind !== "scalar" && field.fieldKind !== "enum") return "";
  const value = field.getDefaultValue();
  if (value !== undefined) return String(value);
  if (field.fieldKind === "enum") return String(field.enum.values[0]?.number ?? 0);
  if (field.scalar === ScalarType.STRING) return "";
  return field.scalar === ScalarType.BOOL ? "false" : "0";
}
