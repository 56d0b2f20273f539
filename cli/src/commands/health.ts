import { MicroError, type Node } from "@micro-es/runtime";
import { protobufCodec } from "@micro-es/runtime/codec";
import {
  HealthCheckRequestSchema,
  HealthCheckResponseSchema,
  HealthCheckResponse_ServingStatus as Status,
} from "@micro-es/runtime/gen/grpc/health/v1/health_pb.js";
import { type Command, defineCommand } from "../command.ts";
import { readDuration } from "../duration.ts";
import { openFleet } from "../fleet.ts";
import { findTarget, targetOptions } from "../target.ts";

/** Answered by every service that has gRPC's health checking. */
const check = {
  service: "",
  name: "grpc.health.v1.Health/Check",
  kind: "unary",
  input: protobufCodec(HealthCheckRequestSchema),
  output: protobufCodec(HealthCheckResponseSchema),
  idempotency: "no_side_effects",
} as const;

export const command: Command = defineCommand({
  arguments: [{ name: "service", help: "its name, or an address such as localhost:8080" }],
  options: {
    ...targetOptions,
    timeout: { type: "string", value: "time", help: "for each node; default 5s" },
  },
  details:
    "Asks each node by itself. The exit code is 1 when one of them does not serve or does not answer.",
  examples: [["micro health greeter", "a line a node"]],
  async run({ arguments: [word = ""], options, output, environment, signal }) {
    const timeoutMs = readDuration(options.timeout ?? "5s", "timeout");
    await using fleet = await openFleet(environment);
    output.progress(`asking ${word}`);
    const target = await findTarget(fleet.registry, word, options, signal);
    const client = fleet.client(target.protocol);
    const ask = async (node: Node | undefined) => {
      const only = node === undefined ? {} : { filters: [({ id }: Node) => id === node.id] };
      try {
        const { status } = await client.unary(
          check,
          {},
          { ...target.call, ...only, timeoutMs, signal },
        );
        return { status: statusName(status), detail: "" };
      } catch (reason) {
        const { code, message } = MicroError.from(reason);
        return code === "unimplemented"
          ? { status: "unchecked", detail: "it answers, but has no health check" }
          : { status: code, detail: message };
      }
    };
    const nodes = target.nodes.length > 0 ? target.nodes : [undefined];
    const answers = await Promise.all(nodes.map(async (node) => ({ node, ...(await ask(node)) })));
    for (const { node, status, detail } of answers) {
      const address = node?.address ?? word;
      output.result(
        { node: node?.id, address, status, ...(detail === "" ? {} : { detail }) },
        () => {
          const good = status === "serving" || status === "unchecked";
          return `${output.style(good ? "green" : "red", status.padEnd(12))}  ${address}  ${node?.id ?? ""}  ${detail}`.trimEnd();
        },
      );
    }
    const bad = answers.some(({ status }) => status !== "serving" && status !== "unchecked");
    return bad ? 1 : 0;
  },
});

function statusName(status: number): string {
  const [name = "unknown"] = Object.entries(Status).find(([, number]) => number === status) ?? [];
  return name.toLowerCase();
}
