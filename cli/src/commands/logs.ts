import { openBackendParts } from "../backend-parts.ts";
import { type Command, defineCommand } from "../command.ts";
import { type LogLevelName, logLevels } from "../debug/log-levels.ts";
import { readDuration } from "../duration.ts";
import { UsageError } from "../errors.ts";
import { nearest } from "../nearest.ts";
import { findTarget, targetOptions } from "../target.ts";

export const command: Command = defineCommand({
  arguments: [{ name: "service", help: "its name, or an address such as localhost:8080" }],
  options: {
    ...targetOptions,
    follow: { type: "boolean", short: "f", help: "follow new lines" },
    level: { type: "string", value: "level", help: `minimum level: ${logLevels.join(", ")}` },
    since: { type: "string", value: "time", help: "only lines of the last 5m, for example" },
    tail: { type: "string", value: "number", help: "the last lines of each process; default 100" },
  },
  details:
    "Shows the lines of all processes of a service by time, each with its origin. A process keeps its last 1,000 lines.\n--follow includes processes that start later. The service needs a debug service:\ncreateService({ debug: debugService() }). If other machines reach it, it also needs a token: MICRO_DEBUG_TOKEN,\nthe same for the service and for this command.",
  examples: [
    ["micro logs greeter -f", "all processes of a service, until Ctrl-C"],
    ["micro logs greeter --level warn --since 5m", "recent warnings and errors"],
  ],
  async run({ arguments: [word = ""], options, output, environment, signal }) {
    const query = {
      level: readLevel(options.level),
      tail: readTail(options.tail),
      maxAgeMs: options.since === undefined ? 0 : readDuration(options.since, "since"),
    };
    output.progress(`asking ${word}`);
    await using backend = await openBackendParts(environment, options);
    const target = await findTarget(backend.registry, word, options, signal);
    const { LogReader } = await import("../debug/log-reader.ts");
    const { debugCall, endpointsOf } = await import("../debug/endpoints.ts");
    const debug = debugCall(environment);
    const client = backend.client(target.protocol);
    const reader = new LogReader(client, query, debug, output, signal);
    await reader.showKept(endpointsOf(target, debug));
    if (options.follow !== true) return;
    const joins = target.nodes.length > 0 && options.node === undefined;
    await reader.follow(joins ? backend.registry.watch(word, { signal }) : undefined);
  },
});

function readLevel(text: string | undefined): LogLevelName | undefined {
  const level = logLevels.find((it) => it === text);
  if (text === undefined || level !== undefined) return level;
  const meant = nearest(text, logLevels);
  const hint =
    meant === undefined ? `there are: ${logLevels.join(", ")}` : `did you mean ${meant}?`;
  throw new UsageError(`there is no level ${text}; ${hint}`);
}

function readTail(text = "100"): number {
  const tail = Number(text);
  if (/^\d+$/.test(text) && tail <= 0xffff_ffff) return tail;
  throw new UsageError(`--tail takes a whole number from 0, not "${text}"`);
}
