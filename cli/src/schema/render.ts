import {
  type DescEnum,
  type DescField,
  type DescMessage,
  type DescMethod,
  type DescService,
  getOption,
  hasOption,
  ScalarType,
} from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import {
  method as methodOption,
  service as serviceOption,
} from "@micro-es/runtime/gen/micro/v1/options_pb.js";

type Described = DescService | DescMessage | DescEnum;

/** A service, message or enum as in a `.proto`, with full names for those of other packages. */
export function render(desc: Described): string {
  switch (desc.kind) {
    case "service":
      return block("service", desc.name, desc.methods.flatMap(renderMethod));
    case "enum":
      return block(
        "enum",
        desc.name,
        desc.values.map(({ name, number }) => `${name} = ${number};`),
      );
    case "message":
      return renderMessage(desc);
  }
}

/** Receives the types that a message's or service's text names, for a complete description. */
export function referencesOf(desc: Described): readonly (DescMessage | DescEnum)[] {
  if (desc.kind === "enum") return [];
  if (desc.kind === "service") return desc.methods.flatMap(({ input, output }) => [input, output]);
  return desc.fields.flatMap((field) => field.message ?? field.enum ?? []);
}

function renderMethod(method: DescMethod): readonly string[] {
  const { input, output, methodKind } = method;
  const package_ = method.parent.file.proto.package;
  const requests =
    methodKind === "client_streaming" || methodKind === "bidi_streaming" ? "stream " : "";
  const responses =
    methodKind === "server_streaming" || methodKind === "bidi_streaming" ? "stream " : "";
  const level =
    method.idempotency === MethodOptions_IdempotencyLevel.IDEMPOTENCY_UNKNOWN
      ? ";"
      : ` { option idempotency_level = ${MethodOptions_IdempotencyLevel[method.idempotency]}; }`;
  const line = `rpc ${method.name}(${requests}${within(input, package_)}) returns (${responses}${within(output, package_)})${level}`;
  const access = accessOf(method);
  return access === undefined ? [line] : [`// ${access}`, line];
}

/** The callers that a method accepts, in the words of generated code; undefined if unstated. */
function accessOf(method: DescMethod): string | undefined {
  const own = hasOption(method, methodOption) ? getOption(method, methodOption).auth : undefined;
  const { parent } = method;
  const rule =
    own ??
    (hasOption(parent, serviceOption)
      ? getOption(parent, serviceOption).defaults?.auth
      : undefined);
  if (rule === undefined) return undefined;
  const { public: isPublic, scopes } = rule;
  if (isPublic) return "Public.";
  if (scopes.length === 0) return "Requires an account.";
  return `Requires the ${scopes.length === 1 ? "scope" : "scopes"} ${scopes.join(", ")}.`;
}

function renderMessage(desc: DescMessage): string {
  const lines: string[] = [];
  for (const member of desc.members) {
    if (member.kind === "field") lines.push(renderField(member));
    else lines.push(...block("oneof", member.name, member.fields.map(renderField)).split("\n"));
  }
  return block("message", desc.name, lines);
}

function renderField(field: DescField): string {
  const type = typeOf(field);
  const explicit =
    field.fieldKind === "scalar" && field.oneof === undefined && field.presence === 1;
  const label = field.fieldKind === "list" ? "repeated " : explicit ? "optional " : "";
  return `${label}${type} ${field.name} = ${field.number};`;
}

function typeOf(field: DescField): string {
  const package_ = field.parent.file.proto.package;
  const named = field.message ?? field.enum;
  const value = named === undefined ? scalarName(field.scalar) : within(named, package_);
  return field.fieldKind === "map" ? `map<${scalarName(field.mapKey)}, ${value}>` : value;
}

function scalarName(type: ScalarType | undefined): string {
  return type === undefined ? "" : ScalarType[type].toLowerCase();
}

/** A type's name as a file of this package can write it. */
function within({ typeName }: { readonly typeName: string }, package_: string): string {
  return package_ !== "" && typeName.startsWith(`${package_}.`)
    ? typeName.slice(package_.length + 1)
    : typeName;
}

function block(keyword: string, name: string, lines: readonly string[]): string {
  if (lines.length === 0) return `${keyword} ${name} {}`;
  return [`${keyword} ${name} {`, ...lines.map((line) => `  ${line}`), "}"].join("\n");
}
