import { type DescMethod, type Message, toJson } from "@bufbuild/protobuf";
import type { AnyMethod, CallOptions, Client, Metadata } from "@micro-es/runtime";
import { type Command, defineCommand } from "../command.ts";
import { readDuration } from "../duration.ts";
import { openFleet } from "../fleet.ts";
import { readHeaders } from "../headers.ts";
import type { Output } from "../output.ts";
import { manyRequests, oneRequest } from "../requests.ts";
import { exampleOf } from "../schema/example.ts";
import { callable, findMethod, nameOf } from "../schema/find-method.ts";
import { readMessage } from "../schema/json-message.ts";
import type { Reflected } from "../schema/reflection.ts";
import { loadSchema, schemaOptions } from "../schema/sources.ts";
import { findTarget, targetOptions } from "../target.ts";

export const command: Command = defineCommand({
  arguments: [
    { name: "service", help: "its name, or an address such as localhost:8080 or https://host" },
    { name: "method", help: "such as Greeter/Hello, or Hello where only one is called so" },
    { name: "request", optional: true, help: "JSON, @file, or - for standard input" },
  ],
  options: {
    ...targetOptions,
    ...schemaOptions,
    timeout: {
      type: "string",
      value: "time",
      help: "such as 500ms; default 30s, none for answers that stream",
    },
    header: {
      type: "string",
      short: "H",
      multiple: true,
      value: "key: value",
      help: "metadata beside the request",
    },
    include: { type: "boolean", short: "i", help: "show the answer's metadata and trailers" },
    example: { type: "boolean", help: "call nothing, and print a request to fill in" },
  },
  details:
    "Requests and answers are JSON as protobuf maps it; streams are a value a line, both ways. The schema comes from the\nserver's reflection, unless --proto or --descriptor-set gives one.",
  examples: [
    [`micro call greeter Greeter/Hello '{"name":"Ada"}'`, "a service that is found by name"],
    ["micro call greeter Greeter/Hello --example", "what a request looks like"],
    [`micro call localhost:50051 acme.v1.Shop/Buy --proto proto <order.json`, "any gRPC server"],
    ["micro call chat Chat/Talk", "a conversation: a line typed is a message sent"],
  ],
  async run({ arguments: [word = "", name = "", request], options, output, environment, signal }) {
    const headers = readHeaders(options.header ?? []);
    const givenTimeoutMs =
      options.timeout === undefined ? undefined : readDuration(options.timeout, "timeout");
    await using fleet = await openFleet(environment);
    output.progress(`looking for ${word}`);
    const target = await findTarget(fleet.registry, word, options, signal);
    const client = fleet.client(target.protocol);
    const schema = await loadSchema(client, target, options, signal);
    output.endProgress();
    const method = findMethod(schema, name);
    if (options.example === true) {
      output.line(JSON.stringify(exampleOf(method.input), null, 2));
      return;
    }
    const show = (label: string) => (metadata: Metadata) => {
      if (options.include !== true) return;
      for (const [key, value] of metadata) {
        output.note(
          `${label} ${key}: ${typeof value === "string" ? value : Buffer.from(value).toString("base64")}`,
        );
      }
    };
    const timeoutMs = givenTimeoutMs ?? defaultTimeoutMs(method);
    await new Call(client, schema, method, output).run(request, {
      ...target.call,
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
      metadata: headers,
      signal,
      onResponseMetadata: show("<"),
      onTrailers: show("<<"),
    });
  },
});

/** A conversation, or an answer without end, lasts as long as the person who reads it likes. */
function defaultTimeoutMs(method: DescMethod): number | undefined {
  const streams =
    method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming";
  return streams ? Number.POSITIVE_INFINITY : undefined;
}

/** One call of any kind, between JSON and the runtime. */
class Call {
  readonly #client: Client;
  readonly #schema: Reflected;
  readonly #desc: DescMethod;
  readonly #method: AnyMethod;
  readonly #output: Output;

  constructor(client: Client, schema: Reflected, desc: DescMethod, output: Output) {
    this.#client = client;
    this.#schema = schema;
    this.#desc = desc;
    this.#method = callable(desc);
    this.#output = output;
  }

  async run(request: string | undefined, options: CallOptions): Promise<void> {
    this.#output.progress(`waiting for ${nameOf(this.#desc)}`);
    switch (this.#desc.methodKind) {
      case "unary":
        return this.#one(
          await this.#client.unary(this.#method, await this.#only(request), options),
        );
      case "client_streaming":
        return this.#one(
          await this.#client.clientStream(this.#method, this.#each(request), options),
        );
      case "server_streaming":
        return this.#all(
          this.#client.serverStream(this.#method, await this.#only(request), options),
        );
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
  }

  #one(answer: unknown): void {
    this.#show(answer, process.stdout.isTTY === true);
  }

  async #all(answers: AsyncIterable<unknown>): Promise<void> {
    for await (const answer of answers) this.#show(answer, false);
  }

  #show(answer: unknown, spread: boolean): void {
    const { registry } = this.#schema;
    const json = toJson(this.#desc.output, answer as Message, { registry });
    this.#output.result(json, () => JSON.stringify(json, null, spread ? 2 : undefined));
  }
}
