import { type Command, defineCommand } from "../command.ts";
import { openConfig, sourceDetails, sourceOptions } from "../config/sources.ts";
import { masked, valuesBelow } from "../config/values.ts";

export const command: Command = defineCommand({
  arguments: [{ name: "prefix", optional: true, help: "only this key and keys below it" }],
  options: {
    ...sourceOptions,
    sources: { type: "boolean", help: "show the source of each value" },
  },
  details: `${sourceDetails}\nPasswords and tokens are not shown.`,
  examples: [
    ["micro config dump --sources", "the settings of services here, and their sources"],
    [
      "micro config dump --sources --from file:config.yaml --from env:SHOP_",
      "include a program's sources",
    ],
  ],
  async run({ arguments: [prefix], options, output, environment, layers, signal }) {
    output.progress("reading the configuration");
    await using config = await openConfig(environment, layers, options.from, signal);
    const values = valuesBelow(config, prefix).map(({ key, value, source }) => ({
      key,
      value: masked(key, value),
      source,
    }));
    for (const each of output.json ? values : []) output.result(each, () => "");
    if (values.length === 0) output.note(`no value at ${prefix}`);
    if (output.json || values.length === 0) return;
    const withSources = options.sources === true;
    const rows = values.map(({ key, value, source }) => {
      const text = typeof value === "string" ? value : JSON.stringify(value);
      return withSources ? [key, text, source] : [key, text];
    });
    output.line(output.table(["KEY", "VALUE", ...(withSources ? ["SOURCE"] : [])], rows));
  },
});
