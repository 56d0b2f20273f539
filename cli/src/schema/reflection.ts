import type { FileRegistry } from "@bufbuild/protobuf";
import { type CallOptions, type Client, MicroError } from "@micro-es/runtime";
import { protobufCodec } from "@micro-es/runtime/codec";
import {
  type ServerReflectionRequest,
  ServerReflectionRequestSchema,
  type ServerReflectionResponse,
  ServerReflectionResponseSchema,
} from "@micro-es/runtime/gen/grpc/reflection/v1/reflection_pb.js";
import { ReflectedFiles } from "./reflected-files.ts";

/** The schema of a server, from itself. */
export interface Reflected {
  readonly registry: FileRegistry;
  /** Full names of its services, in the order it sent them. */
  readonly services: readonly string[];
}

/** The older version has the same messages under another name, and so the same bytes. */
const versions = ["grpc.reflection.v1", "grpc.reflection.v1alpha"];

/**
 * Maximum time for reflection, in milliseconds. Servers with schemas at the limits take less than
 * one second.
 */
const withinMs = 10_000;
/** Each is requested separately. */
const maxServices = 10_000;

/**
 * Reads a server's services and their files by gRPC server reflection, v1 or else v1alpha.
 *
 * @throws MicroError `unimplemented` if it supports neither, `data_loss` for an invalid schema,
 * `resource_exhausted` for one beyond the limits, `deadline_exceeded` if it takes more than 10 s,
 * and any other error of the call.
 */
export async function reflect(client: Client, options: CallOptions): Promise<Reflected> {
  const server = options.address ?? options.service ?? "the service";
  const bounded = { timeoutMs: withinMs, ...options };
  let refused: MicroError | undefined;
  for (const version of versions) {
    try {
      return await ask(client, version, server, bounded);
    } catch (reason) {
      if (!(reason instanceof MicroError)) throw reason;
      if (reason.code === "deadline_exceeded") {
        throw new MicroError(
          "deadline_exceeded",
          `${server} did not send its schema within ${withinMs / 1_000} s; set --proto or --descriptor-set instead`,
          { cause: reason },
        );
      }
      if (reason.code !== "unimplemented") throw reason;
      refused = reason;
    }
  }
  throw new MicroError(
    "unimplemented",
    `${server} does not support gRPC server reflection (registerGrpcReflection of @micro-es/runtime/debug/grpc); set --proto or --descriptor-set instead`,
    { cause: refused },
  );
}

async function ask(
  client: Client,
  version: string,
  server: string,
  options: CallOptions,
): Promise<Reflected> {
  const conversation = new Conversation(client, version, options);
  try {
    const { messageResponse: listed } = await conversation.ask({ case: "listServices", value: "" });
    if (listed.case !== "listServicesResponse") throw unexpected(listed.case);
    if (listed.value.service.length > maxServices) {
      throw new MicroError(
        "resource_exhausted",
        `${server} lists more than ${maxServices} services; set --proto or --descriptor-set instead`,
      );
    }
    const services = [...new Set(listed.value.service.map(({ name }) => name))];
    const files = new ReflectedFiles(server);
    for (const service of services) {
      if (files.hasService(service)) continue;
      files.add(filesOf(await conversation.ask({ case: "fileContainingSymbol", value: service })));
    }
    // Servers may omit imported files; these are requested by name.
    for (let name = files.missing; name !== undefined; name = files.missing) {
      files.add(filesOf(await conversation.ask({ case: "fileByFilename", value: name })));
      if (!files.has(name)) {
        throw new MicroError(
          "not_found",
          `${server} does not describe ${name}, which its schema imports`,
        );
      }
    }
    return { registry: files.registry(), services };
  } finally {
    await conversation.end();
  }
}

/**
 * The files in a response; none in an error: a server may list a service that it cannot describe,
 * and others can still be called.
 */
function filesOf({ messageResponse }: ServerReflectionResponse): readonly Uint8Array[] {
  if (messageResponse.case === "errorResponse") return [];
  if (messageResponse.case !== "fileDescriptorResponse") throw unexpected(messageResponse.case);
  return messageResponse.value.fileDescriptorProto;
}

type Question = ServerReflectionRequest["messageRequest"];

/** A reflection call, in which requests are sent one after another. */
class Conversation {
  readonly #responses: AsyncIterator<ServerReflectionResponse>;
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
    this.#responses = client.bidi(method, this.#questions(), options)[Symbol.asyncIterator]();
  }

  async ask(question: Question): Promise<ServerReflectionResponse> {
    if (this.#next === undefined) this.#waiting = question;
    else this.#next(question);
    const { value, done } = await this.#responses.next();
    if (done === true)
      throw new MicroError("internal", "the server ended the reflection call early");
    return value;
  }

  async end(): Promise<void> {
    this.#ended = true;
    this.#next?.(undefined);
    await this.#responses.return?.();
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

function unexpected(response: string | undefined): MicroError {
  return new MicroError(
    "internal",
    `the server responded to reflection with ${response ?? "nothing"}`,
  );
}
