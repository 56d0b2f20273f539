import { hash } from "node:crypto";
import {
  create,
  type DescFile,
  type DescMessage,
  type DescService,
  toBinary,
} from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { descriptorBytes } from "./descriptor-bytes.ts";
import { type SchemaType, typeClosure } from "./type-closure.ts";

/** The client, the handler and each target of a run use the digest of the same service. */
const digests = new WeakMap<DescService | DescMessage, string>();

/** The part of a type in the digests of the services and events that use it. */
const contributions = new WeakMap<SchemaType, Uint8Array>();

const syntaxes = new WeakMap<DescFile, Uint8Array>();

/**
 * Identifies the schema of a service or an event by 16 hexadecimal digits. They depend on its
 * descriptor and on those of all types that its messages use, and not on comments or on the files
 * that contain the types.
 */
export function schemaDigest(root: DescService | DescMessage): string {
  let digest = digests.get(root);
  if (digest === undefined) {
    const types = [...typeClosure(root)].sort((a, b) => (a.typeName < b.typeName ? -1 : 1));
    digest = hash("sha256", Buffer.concat(types.map(contributionOf))).slice(0, 16);
    digests.set(root, digest);
  }
  return digest;
}

function contributionOf(type: SchemaType): Uint8Array {
  let contribution = contributions.get(type);
  if (contribution === undefined) {
    const parts = [Buffer.from(type.typeName), syntaxOf(type.file), descriptorBytes(type)];
    contribution = Buffer.concat(parts.flatMap((part) => [Buffer.from(`${part.length}:`), part]));
    contributions.set(type, contribution);
  }
  return contribution;
}

/**
 * The syntax, edition and features of a file, which determine the presence of fields and whether
 * enums are open or closed.
 */
function syntaxOf(file: DescFile): Uint8Array {
  let bytes = syntaxes.get(file);
  if (bytes === undefined) {
    const { syntax, edition, options } = file.proto;
    const features = options?.features;
    bytes = toBinary(
      FileDescriptorProtoSchema,
      create(FileDescriptorProtoSchema, {
        syntax,
        edition,
        ...(features === undefined ? {} : { options: { features } }),
      }),
    );
    syntaxes.set(file, bytes);
  }
  return bytes;
}
