import { type DescMethod, type JsonValue, type Message, toJson } from "@bufbuild/protobuf";
import type { AnyMethod, CallOptions, Client } from "@micro-es/runtime";
import { CommandError } from "../errors.ts";
import type { Output } from "../output.ts";
import { manyRequests, oneRequest } from "../requests.ts";
import type { Target } from "../target.ts";
import { jsonText } from "../text.ts";
import { exampleOf } from "./example.ts";
import { callable, findMethod, nameOf } from "./find-method.ts";
import { readMessage } from "./json-message.ts";
import type { Reflected } from "./reflection.ts";
import type { SchemaOptions } from "./schema-options.ts";
import { loadSchema } from "./sources.ts";

/** Calls of a method of any kind, between JSON and the runtime. */
export class JsonCall {
  readonly #client: Client;
  readonly #schema: Reflected;
  readonly #desc: DescMethod;
  readonly #method: AnyMethod;
  readonly #output: Output;

  private constructor(client: Client, schema: Reflected, desc: DescMethod, output: Output) {
    this.#client = client;
    this.#schema = schema;
    this.#desc = desc;
    this.#method = callable(desc);
    this.#output = output;
  }

  /**
   * Finds a method in the target's schema.
   *
   * @param name such as `Greeter/Hello`, or `Hello` if it is unique
   * @throws UsageError for an unknown method; MicroError if the schema is not available.
   */
  static async open(
    client: Client,
    target: Target,
    name: string,
    options: SchemaOptions,
    output: Output,
    signal: AbortSignal,
  ): Promise<JsonCall> {
    const schema = await loadSchema(client, target, options, signal);
    return new JsonCall(client, schema, findMethod(schema, name), output);
  }

  /** Whether the response is a stream, which lasts as long as the user reads it. */
  get streams(): boolean {
    const { methodKind } = this.#desc;
    return methodKind === "server_streaming" || methodKind === "bidi_streaming";
  }

  /** A request with every field, to fill in. */
  example(): JsonValue {
    return exampleOf(this.#desc.input);
  }

  /** Sends the request, or the requests on standard input, and shows the responses. */
  async run(request: string | undefined, options: CallOptions): Promise<void> {
    const waiting = `waiting for ${nameOf(this.#desc)}`;
    switch (this.#desc.methodKind) {
      case "unary": {
        const message = await this.#only(request);
        this.#output.progress(waiting);
        return this.#one(await this.#client.unary(this.#method, message, options));
      }
      case "client_streaming":
        return this.#one(
          await this.#client.clientStream(this.#method, this.#each(request), options),
        );
      case "server_streaming": {
        const message = await this.#only(request);
        this.#output.progress(waiting);
        return this.#all(this.#client.serverStream(this.#method, message, options));
      }
      case "bidi_streaming":
        return this.#all(this.#client.bidi(this.#method, this.#each(request), options));
    }
  }

  async #only(request: string | undefined): Promise<Message> {
    const { text, where } = await oneRequest(request);
    return readMessage(this.#desc.input, text, this.#schema.registry, where);
  }

  async *#each(request: string | undefined): AsyncGenerator<Message> {
    for await (const { text, where } of manyRequests(request)) {
      yield readMessage(this.#desc.input, text, this.#schema.registry, where);
    }
    this.#output.progress(`waiting for ${nameOf(this.#desc)}`);
  }

  #one(response: unknown): void {
    this.#show(response, this.#output.onTerminal);
  }

  async #all(responses: AsyncIterable<unknown>): Promise<void> {
    for await (const response of responses) this.#show(response, false);
  }

  #show(response: unknown, spread: boolean): void {
    this.#output.endProgress();
    const { registry } = this.#schema;
    let json: JsonValue;
    try {
      json = toJson(this.#desc.output, response as Message, { registry });
    } catch (reason) {
      const why = reason instanceof Error ? reason.message : String(reason);
      throw new CommandError(
        "data_loss",
        `${nameOf(this.#desc)} sent a response that cannot be shown as JSON: ${why}`,
      );
    }
    this.#output.result(json, () => jsonText(json, spread));
  }
}
