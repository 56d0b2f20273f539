import type { Metadata } from "@micro-es/runtime";
import { openBackendParts } from "../backend-parts.ts";
import { type Command, defineCommand } from "../command.ts";
import { readDuration } from "../duration.ts";
import { readHeaders } from "../headers.ts";
import { schemaOptions } from "../schema/schema-options.ts";
import { findTarget, targetOptions } from "../target.ts";
import { jsonText } from "../text.ts";

export const command: Command = defineCommand({
  arguments: [
    { name: "service", help: "its name, or an address such as localhost:8080 or https://host" },
    { name: "method", help: "such as Greeter/Hello, or Hello if it is unique" },
    { name: "request", optional: true, help: "JSON, @file, or - for standard input" },
  ],
  options: {
    ...targetOptions,
    ...schemaOptions,
    timeout: {
      type: "string",
      value: "time",
      help: "such as 500ms; default 30s, none for response streams",
    },
    header: {
      type: "string",
      short: "H",
      multiple: true,
      value: "key: value",
      help: "request metadata",
    },
    include: { type: "boolean", short: "i", help: "show response metadata and trailers" },
    example: { type: "boolean", help: "print a request to fill in, without calling" },
  },
  details:
    "Requests and responses are protobuf JSON; streams have one value per line, in both directions. The schema comes from\nthe server's reflection, unless --proto or --descriptor-set is set.",
  examples: [
    [`micro call greeter Greeter/Hello '{"name":"Ada"}'`, "call a service by name"],
    ["micro call greeter Greeter/Hello --example", "print an example request"],
    [`micro call localhost:50051 acme.v1.Shop/Buy --proto proto <order.json`, "any gRPC server"],
    ["micro call chat Chat/Talk", "talk: each line is sent as a message"],
  ],
  async run({ arguments: [word = "", name = "", request], options, output, environment, signal }) {
    const headers = readHeaders(options.header ?? []);
    const givenTimeoutMs =
      options.timeout === undefined ? undefined : readDuration(options.timeout, "timeout");
    output.progress(`finding ${word}`);
    await using backend = await openBackendParts(environment, options);
    const target = await findTarget(backend.registry, word, options, signal);
    const { JsonCall } = await import("../schema/json-call.ts");
    const client = backend.client(target.protocol);
    output.progress(`asking ${word} for its schema`);
    const call = await JsonCall.open(client, target, name, options, output, signal);
    output.endProgress();
    if (options.example === true) {
      output.line(jsonText(call.example(), true));
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
