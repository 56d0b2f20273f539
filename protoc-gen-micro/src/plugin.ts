import { create, fromBinary, maximumEdition, minimumEdition, toBinary } from "@bufbuild/protobuf";
import {
  type CodeGeneratorRequest,
  CodeGeneratorRequestSchema,
  type CodeGeneratorResponse,
  CodeGeneratorResponse_Feature,
  CodeGeneratorResponseSchema,
} from "@bufbuild/protobuf/wkt";
import { createEcmaScriptPlugin, type Plugin } from "@bufbuild/protoplugin";
import { generate } from "./generate.ts";
import { checkParameter, InvalidOption, parseOptions } from "./plugin-options.ts";
import { InvalidSchema } from "./rules/problems.ts";
import { slimRequest } from "./slim-request.ts";
import { version } from "./version.ts";

// The generator writes all three targets itself. protoplugin could transpile JavaScript and
// declarations, but fails when the user's project has TypeScript 7.
const plugin = createEcmaScriptPlugin({
  name: "protoc-gen-micro",
  version: `v${version}`,
  parseOptions,
  generateTs: generate,
  generateJs: generate,
  generateDts: generate,
});

/**
 * The plugin. Mistakes in a plugin option or in an option of a .proto are returned as the error of
 * the response and not thrown, so that buf and protoc print the message alone and write no files.
 */
export const protocGenMicro: Plugin = {
  name: plugin.name,
  version: plugin.version,
  run(request: CodeGeneratorRequest): CodeGeneratorResponse {
    try {
      checkParameter(request.parameter);
      return plugin.run(request);
    } catch (error) {
      if (!(error instanceof InvalidOption || error instanceof InvalidSchema)) throw error;
      return create(CodeGeneratorResponseSchema, {
        error: error.message,
        supportedFeatures: BigInt(
          CodeGeneratorResponse_Feature.PROTO3_OPTIONAL |
            CodeGeneratorResponse_Feature.SUPPORTS_EDITIONS,
        ),
        minimumEdition,
        maximumEdition,
      });
    }
  },
};

/**
 * Runs the plugin on an encoded CodeGeneratorRequest and returns the encoded CodeGeneratorResponse.
 * @throws Error when the bytes are not a valid request
 */
export function respond(request: Uint8Array): Uint8Array {
  let response = run(slimRequest(request));
  // An error names a line and a column, which the slim request leaves out.
  if (response.error !== "") response = run(request);
  return toBinary(CodeGeneratorResponseSchema, response);
}

function run(request: Uint8Array): CodeGeneratorResponse {
  return protocGenMicro.run(fromBinary(CodeGeneratorRequestSchema, request));
}
