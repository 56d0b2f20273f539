import type { Metadata } from "@micro-es/runtime";
import { type Command, defineCommand } from "../command.ts";
import { readDuration } from "../duration.ts";
import { openFleet } from "../fleet.ts";
import { readHeaders } from "../headers.ts";
import { schemaOptions } from "../schema/schema-options.ts";
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
    output.progress(`looking for ${word}`);
    await using fleet = await openFleet(environment);
    const target = await findTarget(fleet.registry, word, options, signal);
    const { JsonCall } = await import("../schema/json-call.ts");
    const client = fleet.client(target.protocol);
    output.progress(`asking ${word} for its schema`);
    const call = await JsonCall.open(client, target, name, options, output, signal);
    output.endProgress();
    if (options.example === true) {
      output.line(JSON.stringify(call.example(), null, 2));
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
    const timeoutMs = givenTimeoutMs ?? (call.streams ? Number.POSITIVE_INFINITY : undefined);
    await call.run(request, {
      ...target.call,
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
      metadata: headers,
      signal,
      onResponseMetadata: show("<"),
      onTrailers: show("<<"),
    });
  },
});
