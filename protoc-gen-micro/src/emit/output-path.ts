import type { DescFile } from "@bufbuild/protobuf";

/**
 * The output files of a .proto file, by the end of their name: `greeter_micro` is what applications
 * import, and `greeter_codec` holds the codecs behind it.
 */
export type OutputKind = "micro" | "codec";

/** The path of an output file from the root of the output, as it is imported. */
export function outputPath(file: DescFile, kind: OutputKind): string {
  return `./${file.name}_${kind}.js`;
}
