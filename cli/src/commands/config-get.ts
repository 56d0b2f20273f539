import type { Config } from "@micro-es/runtime";
import { type Command, CommandError, defineCommand } from "../command.ts";
import { openConfig, sourceDetails, sourceOptions } from "../config/sources.ts";
import { masked, valuesBelow } from "../config/values.ts";
import { nearestFew } from "../nearest.ts";

export const command: Command = defineCommand({
  arguments: [{ name: "key", help: "such as database.poolSize, or MICRO_REGISTRY" }],
  options: {
    ...sourceOptions,
    reveal: { type: "boolean", help: "show a secret as it is" },
  },
  details: `${sourceDetails}\nA table is shown as JSON; with --json the value's source too.`,
  examples: [
    ["micro config get MICRO_REGISTRY", "how services find each other here"],
    [
      "micro config get database --from file:config.yaml --from env:SHOP_",
      "a table of two sources",
    ],
  ],
  async run({ arguments: [key = ""], options, output, environment, layers, signal }) {
    output.progress("reading the configuration");
    await using config = await openConfig(environment, layers, options.from, signal);
    const values = valuesBelow(config, key);
    if (values.length === 0) {
      const near = nearestFew(key, keysOf(config), 5).join(", ");
      throw new CommandError("not_found", `nothing is configured at ${key}; there are: ${near}`);
    }
    const value = config.get(key, (found) => found ?? null);
    const shown = options.reveal === true ? value : masked(key, value);
    const sources = [...new Set(values.map(({ source }) => source))].join(", ");
    output.result({ key, value: shown, source: sources }, () =>
      typeof shown === "string" ? shown : JSON.stringify(shown, null, 2),
    );
  },
});

/** All keys of values and of tables. */
function keysOf(config: Config): readonly string[] {
  const keys = new Set<string>();
  for (const { key } of valuesBelow(config)) {
    const names = key.split(".");
    for (let length = 1; length <= names.length; length++) {
      keys.add(names.slice(0, length).join("."));
    }
  }
  return [...keys];
}
