import { setTimeout as sleep } from "node:timers/promises";
import { type Command, defineCommand } from "../command.ts";
import type { TakenStats } from "../debug/stats-table.ts";
import { readDuration } from "../duration.ts";
import { describeFailure } from "../failure.ts";
import { openFleet } from "../fleet.ts";
import { findTarget, targetOptions } from "../target.ts";

export const command: Command = defineCommand({
  arguments: [
    {
      name: "service",
      optional: true,
      help: "its name, or an address such as localhost:8080; none for all that run",
    },
  ],
  options: {
    ...targetOptions,
    watch: { type: "boolean", short: "w", help: "again and again, with calls a second" },
    interval: { type: "string", value: "time", help: "between two looks of --watch; default 2s" },
    all: { type: "boolean", help: "methods too that servers have for tools, as health checks" },
    timeout: { type: "string", value: "time", help: "for each process; default 5s" },
  },
  details:
    "Calls and errors count from the start of a process; P50 and P99 are of calls that ended in the last one to two minutes. A service\ntells them that has a debug service: createService({ debug: debugService() }).",
  examples: [
    ["micro stats", "every process, and every method that it answers"],
    ["micro stats greeter --watch", "one service, as it goes"],
    ["micro stats greeter --json | jq .methods", "for scripts, a line a process"],
  ],
  async run({ arguments: [word], options, output, environment, signal }) {
    const timeoutMs = readDuration(options.timeout ?? "5s", "timeout");
    const intervalMs = readDuration(options.interval ?? "2s", "interval");
    const watch = options.watch === true;
    const all = options.all === true;
    output.progress(word === undefined ? "looking for services" : `asking ${word}`);
    await using fleet = await openFleet(environment);
    const { allPlaces, placesOf } = await import("../debug/places.ts");
    const { statsJson, statsTables } = await import("../debug/stats-table.ts");
    const { takeStats } = await import("../debug/take-stats.ts");
    const findPlaces = async () =>
      word === undefined
        ? allPlaces(fleet.registry, signal)
        : placesOf(await findTarget(fleet.registry, word, options, signal));
    const look = async (before: ReadonlyMap<string, TakenStats>) => {
      const places = await findPlaces();
      const { taken, failures } = await takeStats(fleet, places, timeoutMs, signal);
      if (word !== undefined && taken.length === 0 && failures[0] !== undefined) throw failures[0];
      for (const each of output.json ? taken : []) output.result(statsJson(each, all), () => "");
      if (places.length === 0) output.note("no service runs here");
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
      const before = new Map(taken.map((each) => [each.place.address, each]));
      try {
        taken = (await look(before)).taken;
      } catch (reason) {
        // What is not there now may come again.
        if (!signal.aborted) output.note(describeFailure(reason).message);
      }
    }
  },
});
