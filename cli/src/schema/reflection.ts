import { create, createFileRegistry, type FileRegistry, fromBinary } from "@bufbuild/protobuf";
import {
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
} from "@bufbuild/protobuf/wkt";
import { type CallOptions, type Client, MicroError } from "@micro-es/runtime";
import { protobufCodec } from "@micro-es/runtime/codec";
import {
  type ServerReflectionRequest,
  ServerReflectionRequestSchema,
  type ServerReflectionResponse,
  ServerReflectionResponseSchema,
} from "@micro-es/runtime/gen/grpc/reflection/v1/reflection_pb.js";

/** What a server says of its own schema. */
export interface Reflected {
  readonly registry: FileRegistry;
  /** Full names of the services that it answers, in the order it gave. */
  readonly services: readonly string[];
}

/** The older of the two versions has the same messages under another name, and so the same bytes. */
const versions = ["grpc.reflection.v1", "grpc.reflection.v1alpha"];

/**
 * Asks a server for its services and the files that describe them, by gRPC server reflection, v1 or else v1alpha.
 *
 * @throws MicroError `unimplemented` when it answers neither, and whatever ends the call.
 */
export async function reflect(client: Client, options: CallOptions): Promise<Reflected> {
  let refused: MicroError | undefined;
  for (const version of versions) {
    try {
      return await ask(client, version, options);
    } catch (reason) {
      if (!(reason instanceof MicroError) || reason.code !== "unimplemented") throw reason;
      refused = reason;
    }
  }
  throw new MicroError(
    "unimplemented",
    `${options.address ?? "the service"} does not describe itself: it has no gRPC server reflection (registerGrpcReflection of @micro-es/runtime/debug/grpc gives it); --proto or --descriptor-set says what to call instead`,
    { cause: refused },
  );
}

async function ask(client: Client, version: string, options: CallOptions): Promise<Reflected> {
  const conversation = new Conversation(client, version, options);
  try {
    const { messageResponse: listed } = await conversation.ask({ case: "listServices", value: "" });
    if (listed.case !== "listServicesResponse") throw unexpected(listed.case);
    const services = listed.value.service.map(({ name }) => name);
    const files = new Map<string, FileDescriptorProto>();
    for (const service of services) {
      const answer = await conversation.ask({ case: "fileContainingSymbol", value: service });
      takeFiles(answer, files);
    }
    await completeImports(conversation, files);
    const file = inOrder(files);
    return { registry: createFileRegistry(create(FileDescriptorSetSchema, { file })), services };
  } finally {
    await conversation.end();
  }
}

/** Servers may leave out what a file imports; it is asked for by name then. */
async function completeImports(
  conversation: Conversation,
  files: Map<string, FileDescriptorProto>,
): Promise<void> {
  for (;;) {
    const missing = new Set<string>();
    for (const { dependency } of files.values()) {
      for (const name of dependency) if (!files.has(name)) missing.add(name);
    }
    if (missing.size === 0) return;
    for (const name of missing) {
      takeFiles(await conversation.ask({ case: "fileByFilename", value: name }), files);
      if (!files.has(name)) {
        throw new MicroError(
          "not_found",
          `the server does not describe ${name}, which its schema imports`,
        );
      }
    }
  }
}

function takeFiles(
  { messageResponse }: ServerReflectionResponse,
  files: Map<string, FileDescriptorProto>,
): void {
  // A server may list a service that it cannot describe; its other services can still be called.
  if (messageResponse.case === "errorResponse") return;
  if (messageResponse.case !== "fileDescriptorResponse") throw unexpected(messageResponse.case);
  for (const bytes of messageResponse.value.fileDescriptorProto) {
    const file = fromBinary(FileDescriptorProtoSchema, bytes);
    files.set(file.name, file);
  }
}

/** Each file after those that it imports, as a registry wants them. */
function inOrder(files: ReadonlyMap<string, FileDescriptorProto>): FileDescriptorProto[] {
  const done = new Set<FileDescriptorProto>();
  const visit = (file: FileDescriptorProto | undefined) => {
    if (file === undefined || done.has(file)) return;
    for (const name of file.dependency) visit(files.get(name));
    done.add(file);
  };
  for (const file of files.values()) visit(file);
  return [...done];
}

type Question = ServerReflectionRequest["messageRequest"];

/** One reflection call, in which a question is asked after another. */
class Conversation {
  readonly #answers: AsyncIterator<ServerReflectionResponse>;
  #next: ((question: Question | undefined) => void) | undefined;
  #waiting: Question | undefined;
  #ended = false;

  constructor(client: Client, version: string, options: CallOptions) {
    const method = {
      service: "",
      name: `${version}.ServerReflection/ServerReflectionInfo`,
      kind: "bidi_streaming",
      input: protobufCodec(ServerReflectionRequestSchema),
      output: protobufCodec(ServerReflectionResponseSchema),
      idempotency: "no_side_effects",
    } as const;
    this.#answers = client.bidi(method, this.#questions(), options)[Symbol.asyncIterator]();
  }

  async ask(question: Question): Promise<ServerReflectionResponse> {
    if (this.#next === undefined) this.#waiting = question;
    else this.#next(question);
    const { value, done } = await this.#answers.next();
    if (done === true)
      throw new MicroError("internal", "the server ended the reflection call early");
    return value;
  }

  async end(): Promise<void> {
    this.#ended = true;
    this.#next?.(undefined);
    await this.#answers.return?.();
  }

  async *#questions() {
    while (!this.#ended) {
      const question =
        this.#waiting ??
        (await new Promise<Question | undefined>((resolve) => {
          this.#next = resolve;
        }));
      this.#waiting = undefined;
      this.#next = undefined;
      if (question === undefined) return;
      yield { messageRequest: question };
    }
  }
}

function unexpected(answer: string | undefined): MicroError {
  return new MicroError("internal", `the server answered reflection with ${answer ?? "nothing"}`);
}
