import type { Config } from "@micro-es/runtime";
import { type Command, defineCommand } from "../command.ts";
import { openConfig, sourceDetails, sourceOptions } from "../config/sources.ts";
import { masked, valuesBelow } from "../config/values.ts";
import { CommandError } from "../errors.ts";
import { nearestFew } from "../nearest.ts";
import { jsonText } from "../text.ts";

export const command: Command = defineCommand({
  arguments: [{ name: "key", help: "such as database.poolSize, or MICRO_REGISTRY" }],
  options: {
    ...sourceOptions,
    reveal: { type: "boolean", help: "show a secret in clear text" },
  },
  details: `${sourceDetails}\nA table is shown as JSON; --json adds the value's source.`,
  examples: [
    ["micro config get MICRO_REGISTRY", "show the registry of services here"],
    [
      "micro config get database --from file:config.yaml --from env:SHOP_",
      "a table merged from two sources",
    ],
  ],
  async run({ arguments: [key = ""], options, output, environment, layers, signal }) {
    output.progress("reading the configuration");
    await using config = await openConfig(environment, layers, options.from, signal);
    const values = valuesBelow(config, key);
    if (values.length === 0) {
      const near = nearestFew(key, keysOf(config), 5).join(", ");
      throw new CommandError("not_found", `no value at ${key}; there are: ${near}`);
    }
    const value = config.get(key, (found) => found ?? null);
    const shown = options.reveal === true ? value : masked(key, value);
    const sources = [...new Set(values.map(({ source }) => source))].join(", ");
    const found = { key, value: shown, source: sources };
    if (typeof shown === "string") output.data(found, shown);
    else output.result(found, () => jsonText(shown, true));
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
