import type { DescFile, DescMessage } from "@bufbuild/protobuf";
import type { EcmaScriptPluginOptions } from "@bufbuild/protoplugin";
import type { Target } from "../emit/writer.ts";
import { pbNames } from "../model/pb-names.ts";
import { nestedMessages } from "./nested-messages.ts";
import { InvalidSchema } from "./problems.ts";
import { type Element, sourcePosition } from "./source-info.ts";
import { sourceFile } from "./source-paths.ts";

// Field numbers of descriptor.proto.
const FILE_MESSAGE = 4;
const FILE_ENUM = 5;
const FILE_SERVICE = 6;
const MESSAGE_FIELD = 2;
const MESSAGE_ONEOF = 8;

/**
 * Names that TypeScript does not allow for a type. protoc-gen-es escapes others, such as `string`.
 */
const brokenTypes = /^(any|as|await|infer|keyof|never|readonly|symbol|undefined|unique|unknown)$/;
/** Names that a module cannot declare. */
const brokenConstants = /^(arguments|await|eval)$/;
/** Parameters of the function that Node wraps around a CommonJS module. */
const commonjsParameters = /^(exports|require|module|__filename|__dirname)$/;

/**
 * Rejects names for which protoc-gen-es generates code that does not compile or load, which would
 * make the output of this plugin useless.
 *
 * @throws InvalidSchema that lists all of them, with their positions and fixes
 */
export function checkNames(
  files: readonly DescFile[],
  target: Target,
  { jsImportStyle }: Pick<EcmaScriptPluginOptions, "jsImportStyle">,
): void {
  const language =
    target !== "js" ? "TypeScript" : jsImportStyle === "module" ? "JavaScript" : "CommonJS";
  const lines = files.flatMap((file) => [
    ...brokenFile(file, target),
    ...brokenDeclarations(file, language),
    ...(target === "ts" ? [...nestedMessages(file)].flatMap(brokenMembers) : []),
  ]);
  if (lines.length === 0) return;
  const count = lines.length === 1 ? "1 name" : `${lines.length} names`;
  throw new InvalidSchema(
    `${count} that protoc-gen-es cannot generate code for\n${lines.join("\n")}`,
  );
}

function brokenFile(file: DescFile, target: Target): string[] {
  const [found] = /[#?%]/.exec(file.name) ?? [];
  if (found === undefined || target !== "ts") return [];
  const name = JSON.stringify(file.proto.name);
  return [
    `${sourceFile(file.proto.name)}:1:1: file ${name}: the name contains "${found}", which import paths cannot contain in TypeScript; rename the file`,
  ];
}

function brokenDeclarations(
  file: DescFile,
  language: "TypeScript" | "JavaScript" | "CommonJS",
): string[] {
  const { shapes, descriptors } = pbNames(file);
  const lines: string[] = [];
  const add = (path: readonly number[], what: string) => {
    lines.push(
      `${sourcePosition(file, path)}: ${what} cannot have this name in ${language}; rename it`,
    );
  };
  const isTyped = language === "TypeScript";
  const isBrokenConstant = (name: string) =>
    brokenConstants.test(name) || (language === "CommonJS" && commonjsParameters.test(name));
  file.messages.forEach((message) => {
    if (isTyped && brokenTypes.test(shapes.get(message) ?? "")) {
      add([FILE_MESSAGE, file.proto.messageType.indexOf(message.proto), 1], message.toString());
    }
  });
  file.enums.forEach((desc) => {
    const name = shapes.get(desc) ?? "";
    if ((isTyped && brokenTypes.test(name)) || isBrokenConstant(name)) {
      add([FILE_ENUM, file.proto.enumType.indexOf(desc.proto), 1], desc.toString());
    }
  });
  file.services.forEach((service) => {
    if (isBrokenConstant(descriptors.get(service) ?? "")) {
      add([FILE_SERVICE, file.proto.service.indexOf(service.proto), 1], service.toString());
    }
  });
  return lines;
}

/**
 * Members that cannot be properties in TypeScript, or that share a name. JavaScript allows both.
 */
function brokenMembers(message: DescMessage): string[] {
  const lines: string[] = [];
  const seen = new Map<string, string>();
  for (const member of message.members) {
    const { localName } = member;
    const path =
      member.kind === "oneof"
        ? [MESSAGE_ONEOF, message.proto.oneofDecl.indexOf(member.proto), 1]
        : [MESSAGE_FIELD, message.proto.field.indexOf(member.proto), 1];
    const at = sourcePosition(message as Element, path);
    const other = seen.get(localName);
    if (other !== undefined) {
      lines.push(
        `${at}: ${member.toString()}: its property is ${JSON.stringify(localName)}, like that of ${other}; rename one of them`,
      );
    } else if (!/^[A-Za-z_$]/.test(localName)) {
      lines.push(
        `${at}: ${member.toString()}: its property would be ${JSON.stringify(localName)}; use a name that begins with a letter`,
      );
    }
    seen.set(localName, member.toString());
  }
  return lines;
}
