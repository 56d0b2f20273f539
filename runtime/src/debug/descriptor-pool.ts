import {
  create,
  type DescFile,
  type DescMessage,
  type DescService,
  toBinary,
} from "@bufbuild/protobuf";
import {
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  MethodDescriptorProtoSchema,
  ServiceDescriptorProtoSchema,
} from "@bufbuild/protobuf/wkt";
import type { AnyMethod } from "../call/method.ts";
import type { AnyCodec } from "../codec/codec.ts";

/**
 * The descriptor files of services and their dependencies, found by name and by the symbols they
 * define.
 */
export class DescriptorPool {
  readonly services: readonly string[];
  readonly #files = new Map<string, FileDescriptorProto>();
  readonly #bySymbol = new Map<string, string>();
  /** The files in binary that were asked for, by name: encoding them costs far more than asking. */
  readonly #encoded = new Map<string, Uint8Array>();

  /**
   * @param services described services; further services that `methods` belong to are described
   * from the methods themselves.
   * @param events codecs of messages that belong to no method
   */
  constructor(
    services: readonly DescService[],
    methods: readonly AnyMethod[] = [],
    events: readonly AnyCodec[] = [],
  ) {
    for (const { file } of services) this.#addFile(file);
    const names = new Set(services.map(({ typeName }) => typeName));
    for (const { schema } of [...methods.flatMap((it) => [it.input, it.output]), ...events]) {
      if (schema !== undefined) this.#addFile(schema.file);
    }
    for (const name of new Set(methods.map((method) => serviceOf(method)))) {
      if (!this.#bySymbol.has(name)) this.#describe(name, methods);
      if (this.#bySymbol.has(name)) names.add(name);
    }
    this.services = [...names].sort();
  }

  /** A file and all its imports in binary, the file itself first; undefined if it is not known. */
  fileByName(name: string): readonly Uint8Array[] | undefined {
    const found = new Map<string, FileDescriptorProto>();
    const visit = (path: string) => {
      const file = this.#files.get(path);
      if (file === undefined || found.has(path)) return;
      found.set(path, file);
      for (const dependency of file.dependency) visit(dependency);
    };
    visit(name);
    if (found.size === 0) return undefined;
    return [...found.values()].map((file) => this.#encode(file));
  }

  #encode(file: FileDescriptorProto): Uint8Array {
    let bytes = this.#encoded.get(file.name);
    if (bytes === undefined) {
      bytes = toBinary(FileDescriptorProtoSchema, file);
      this.#encoded.set(file.name, bytes);
    }
    return bytes;
  }

  /** The file that defines a service, method, message, field or enum with this full name. */
  fileOfSymbol(symbol: string): readonly Uint8Array[] | undefined {
    const owner = this.#bySymbol.get(symbol) ?? this.#bySymbol.get(parentOf(symbol));
    return owner === undefined ? undefined : this.fileByName(owner);
  }

  #addFile(file: DescFile): void {
    const { name } = file.proto;
    if (this.#files.has(name)) return;
    this.#files.set(name, file.proto);
    const define = ({ typeName }: { readonly typeName: string }) =>
      this.#bySymbol.set(typeName, name);
    const defineMessage = (message: DescMessage) => {
      define(message);
      message.nestedEnums.forEach(define);
      message.nestedExtensions.forEach(define);
      message.nestedMessages.forEach(defineMessage);
    };
    file.messages.forEach(defineMessage);
    file.enums.forEach(define);
    file.extensions.forEach(define);
    file.services.forEach(define);
    for (const dependency of file.dependencies) this.#addFile(dependency);
  }

  /**
   * Generates a file for a service whose own file is not known, because its messages come from
   * others.
   */
  #describe(service: string, all: readonly AnyMethod[]): void {
    const methods = all.filter(
      (it) => serviceOf(it) === service && it.input.schema && it.output.schema,
    );
    if (methods.length === 0) return;
    const name = `${service}.proto`;
    const schemas = methods.flatMap(({ input, output }) => [input.schema, output.schema]);
    const dependency = new Set(
      schemas.flatMap((it) => (it === undefined ? [] : [it.file.proto.name])),
    );
    this.#files.set(
      name,
      create(FileDescriptorProtoSchema, {
        name,
        package: parentOf(service),
        syntax: "proto3",
        dependency: [...dependency],
        service: [
          create(ServiceDescriptorProtoSchema, {
            name: service.slice(service.lastIndexOf(".") + 1),
            method: methods.map((method) =>
              create(MethodDescriptorProtoSchema, {
                name: method.name.slice(method.name.lastIndexOf("/") + 1),
                inputType: `.${method.input.typeName}`,
                outputType: `.${method.output.typeName}`,
                clientStreaming:
                  method.kind === "client_streaming" || method.kind === "bidi_streaming",
                serverStreaming:
                  method.kind === "server_streaming" || method.kind === "bidi_streaming",
              }),
            ),
          }),
        ],
      }),
    );
    this.#bySymbol.set(service, name);
  }
}

function serviceOf(method: AnyMethod): string {
  return method.name.slice(0, method.name.lastIndexOf("/"));
}

function parentOf(name: string): string {
  return name.slice(0, Math.max(0, name.lastIndexOf(".")));
}
