import { setTimeout as sleep } from "node:timers/promises";
import { openBackendParts } from "../backend-parts.ts";
import { type Command, defineCommand } from "../command.ts";
import type { TakenStats } from "../debug/stats-table.ts";
import { readDuration } from "../duration.ts";
import { describeFailure } from "../failure.ts";
import { findTarget, targetOptions } from "../target.ts";

export const command: Command = defineCommand({
  arguments: [
    {
      name: "service",
      optional: true,
      help: "its name, or an address such as localhost:8080; default all",
    },
  ],
  options: {
    ...targetOptions,
    watch: { type: "boolean", short: "w", help: "repeat, with calls per second" },
    interval: { type: "string", value: "time", help: "interval of --watch; default 2s" },
    all: { type: "boolean", help: "include methods for tools, such as health checks" },
    timeout: { type: "string", value: "time", help: "for each process; default 5s" },
  },
  details:
    "Calls and errors count from the start of a process; P50 and P99 cover calls that ended in the last one to two minutes.\nThe service needs a debug service: createService({ debug: debugService() }). If other machines reach it, it also\nneeds a token: MICRO_DEBUG_TOKEN, the same for the service and for this command.",
  examples: [
    ["micro stats", "all processes and their methods"],
    ["micro stats greeter --watch", "follow one service"],
    ["micro stats greeter --json | jq .methods", "for scripts, one line per process"],
  ],
  async run({ arguments: [word], options, output, environment, signal }) {
    const timeoutMs = readDuration(options.timeout ?? "5s", "timeout");
    const intervalMs = readDuration(options.interval ?? "2s", "interval");
    const watch = options.watch === true;
    const all = options.all === true;
    output.progress(word === undefined ? "finding services" : `asking ${word}`);
    await using backend = await openBackendParts(environment, options);
    const { allEndpoints, debugCall, endpointsOf } = await import("../debug/endpoints.ts");
    const { statsJson, statsTables } = await import("../debug/stats-table.ts");
    const { takeStats } = await import("../debug/take-stats.ts");
    const debug = debugCall(environment);
    const findPlaces = async () =>
      word === undefined
        ? allEndpoints(backend.registry, debug, signal)
        : endpointsOf(await findTarget(backend.registry, word, options, signal), debug);
    const look = async (before: ReadonlyMap<string, TakenStats>) => {
      const endpoints = await findPlaces();
      const { taken, failures } = await takeStats(backend, endpoints, timeoutMs, signal);
      if (word !== undefined && taken.length === 0 && failures[0] !== undefined) throw failures[0];
      for (const each of output.json ? taken : []) output.result(statsJson(each, all), () => "");
      if (endpoints.length === 0) output.note("no service runs here");
      if (taken.length > 0 && !output.json) {
        output.page(statsTables(taken, before, all, output), watch);
      }
      for (const { message } of failures) output.note(message);
      return { taken, good: failures.every(({ code }) => code === "unimplemented") };
    };
    const first = await look(new Map());
    output.endProgress();
    if (!watch) return first.good ? 0 : 1;
    for (let { taken } = first; ; ) {
      await sleep(intervalMs, undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
      const before = new Map(taken.map((each) => [each.endpoint.address, each]));
      try {
        taken = (await look(before)).taken;
      } catch (reason) {
        // A process that is missing now may return.
        if (!signal.aborted) output.note(describeFailure(reason).message);
      }
    }
  },
});
