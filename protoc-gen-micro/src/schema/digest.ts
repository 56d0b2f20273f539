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

/** A client, a handler and each target of one run ask for the digest of the same service. */
const digests = new WeakMap<DescService | DescMessage, string>();

/** What a type adds to the digest of each service and event that is made of it. */
const contributions = new WeakMap<SchemaType, Uint8Array>();

const syntaxes = new WeakMap<DescFile, Uint8Array>();

/**
 * Tells schemas of a service or an event apart: 16 hexadecimal digits that are the same for the same descriptors of it and
 * of every type that its messages are made of, whatever their comments and the files that they stand in are.
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

/** What the file says of all its types: by it the same field has presence or not, and an enum is open or closed. */
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
