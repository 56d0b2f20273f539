import { type Command, defineCommand, UsageError } from "../command.ts";
import { type LogLevelName, logLevels } from "../debug/log-levels.ts";
import { readDuration } from "../duration.ts";
import { openFleet } from "../fleet.ts";
import { nearest } from "../nearest.ts";
import { findTarget, targetOptions } from "../target.ts";

export const command: Command = defineCommand({
  arguments: [{ name: "service", help: "its name, or an address such as localhost:8080" }],
  options: {
    ...targetOptions,
    follow: { type: "boolean", short: "f", help: "go on with what is logged from now on" },
    level: { type: "string", value: "level", help: `the least: ${logLevels.join(", ")}` },
    since: { type: "string", value: "time", help: "only lines that are not older, such as 5m" },
    tail: { type: "string", value: "number", help: "the last lines of each process; default 100" },
  },
  details:
    "The lines of all processes of a service by time, each with where it comes from. A process keeps its last 1,000 lines. With\n--follow processes that come later are heard too. A service tells them that has a debug service:\ncreateService({ debug: debugService() }).",
  examples: [
    ["micro logs greeter -f", "all processes of a service, until Ctrl-C"],
    ["micro logs greeter --level warn --since 5m", "what went wrong of late"],
  ],
  async run({ arguments: [word = ""], options, output, environment, signal }) {
    const query = {
      level: readLevel(options.level),
      tail: readTail(options.tail),
      maxAgeMs: options.since === undefined ? 0 : readDuration(options.since, "since"),
    };
    output.progress(`asking ${word}`);
    await using fleet = await openFleet(environment);
    const target = await findTarget(fleet.registry, word, options, signal);
    const { LogReader } = await import("../debug/log-reader.ts");
    const { placesOf } = await import("../debug/places.ts");
    const reader = new LogReader(fleet.client(target.protocol), query, output, signal);
    await reader.showKept(placesOf(target));
    if (options.follow !== true) return;
    const joins = target.nodes.length > 0 && options.node === undefined;
    await reader.follow(joins ? fleet.registry.watch(word, { signal }) : undefined);
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
  throw new UsageError(`--tail takes a whole number from 0, and not "${text}"`);
}
