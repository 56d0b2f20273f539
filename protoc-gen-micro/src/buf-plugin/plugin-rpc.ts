import {
  create,
  createRegistry,
  type DescMessage,
  type DescService,
  fromBinary,
  fromJsonString,
  type MessageInitShape,
  type MessageShape,
  toBinary,
  toJsonString,
} from "@bufbuild/protobuf";
import type { GenService, GenServiceMethods } from "@bufbuild/protobuf/codegenv2";
import { anyPack, anyUnpack } from "@bufbuild/protobuf/wkt";
import { RequestSchema, ResponseSchema, SpecSchema } from "../gen/pluginrpc/v1/pluginrpc_pb.ts";

const invalidArgument = 3;

/** A request that cannot be served; its message is shown to the user. */
export class InvalidRequest extends Error {
  override readonly name = "InvalidRequest";
}

/** The implementation of a service: one function per method. */
export type Procedures<M extends GenServiceMethods> = {
  readonly [K in keyof M]: (
    request: MessageShape<M[K]["input"]>,
  ) => MessageInitShape<M[K]["output"]>;
};

/** The arguments, input and output of a run of the plugin. */
export interface PluginRun {
  readonly args: readonly string[];
  readonly input: () => Promise<Uint8Array>;
  readonly write: (output: Uint8Array | string) => void;
}

/**
 * Handles a run of the plugin as defined by PluginRPC (https://github.com/pluginrpc/pluginrpc):
 * `--spec`, or the path of a method with the request on standard input; `--format` is `binary` or
 * `json`.
 *
 * @throws InvalidRequest for invalid arguments
 */
export async function handlePluginRpc<M extends GenServiceMethods>(
  service: GenService<M>,
  procedures: Procedures<M>,
  { args, input, write }: PluginRun,
): Promise<void> {
  const format = messageFormat(args, service);
  if (args.includes("--spec")) {
    const paths = service.methods.map((method) => ({ path: pathOf(service, method.name) }));
    return write(format.write(SpecSchema, create(SpecSchema, { procedures: paths })));
  }
  const method = service.methods.find(({ name }) => args.includes(pathOf(service, name)));
  if (method === undefined) {
    throw new InvalidRequest(
      "this is a plugin for buf: list it under `plugins` in buf.yaml and run `buf lint` or `buf breaking`",
    );
  }
  const { value } = format.read(RequestSchema, await input());
  const request = (value && anyUnpack(value, method.input)) ?? create(method.input);
  try {
    const response = procedures[method.localName as keyof M](request as never);
    const packed = anyPack(method.output, create(method.output, response));
    write(format.write(ResponseSchema, create(ResponseSchema, { value: packed })));
  } catch (reason) {
    if (!(reason instanceof InvalidRequest)) throw reason;
    const error = { code: invalidArgument, message: reason.message };
    write(format.write(ResponseSchema, create(ResponseSchema, { error })));
  }
}

function pathOf(service: DescService, method: string): string {
  return `/${service.typeName}/${method}`;
}

interface MessageFormat {
  read<D extends DescMessage>(schema: D, bytes: Uint8Array): MessageShape<D>;
  write<D extends DescMessage>(schema: D, message: MessageShape<D>): Uint8Array | string;
}

function messageFormat(args: readonly string[], service: DescService): MessageFormat {
  const at = args.indexOf("--format");
  const name = at < 0 ? "binary" : args[at + 1];
  if (name === "binary") return { read: fromBinary, write: toBinary };
  if (name !== "json") {
    throw new InvalidRequest(`--format is ${name ?? "missing"}; use binary or json`);
  }
  const registry = createRegistry(service.file);
  return {
    read: (schema, bytes) => {
      const text = new TextDecoder().decode(bytes);
      return text === ""
        ? create(schema)
        : fromJsonString(schema, text, { registry, ignoreUnknownFields: true });
    },
    write: (schema, message) => `${toJsonString(schema, message, { registry })}\n`,
  };
}
