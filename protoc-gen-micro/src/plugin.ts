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

// All three targets are written by the generator itself. protoplugin could transpile the last two, and
// fails at that as soon as the user's project has TypeScript 7 in it.
const plugin = createEcmaScriptPlugin({
  name: "protoc-gen-micro",
  version: `v${version}`,
  parseOptions,
  generateTs: generate,
  generateJs: generate,
  generateDts: generate,
});

/**
 * The plugin. What its user can get wrong (a plugin option, an option in a .proto) comes back as the error
 * of the response and not as an exception, so that buf and protoc print it as it is and write nothing.
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
 * Answers a CodeGeneratorRequest with a CodeGeneratorResponse, both as their bytes.
 * @throws Error for bytes that are no request, and for one that is wrong in itself.
 */
export function answer(request: Uint8Array): Uint8Array {
  let response = run(slimRequest(request));
  // An error says where it is, which a slim request does not.
  if (response.error !== "") response = run(request);
  return toBinary(CodeGeneratorResponseSchema, response);
}

function run(request: Uint8Array): CodeGeneratorResponse {
  return protocGenMicro.run(fromBinary(CodeGeneratorRequestSchema, request));
}
