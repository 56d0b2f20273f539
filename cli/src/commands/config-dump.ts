import { type Command, defineCommand } from "../command.ts";
import { openConfig, sourceDetails, sourceOptions } from "../config/sources.ts";
import { masked, valuesBelow } from "../config/values.ts";

export const command: Command = defineCommand({
  arguments: [{ name: "prefix", optional: true, help: "only this key and those below it" }],
  options: {
    ...sourceOptions,
    sources: { type: "boolean", help: "where each value comes from" },
  },
  details: `${sourceDetails}\nPasswords and tokens are not shown.`,
  examples: [
    ["micro config dump --sources", "what services here are set to, and by what"],
    ["micro config dump --sources --from file:config.yaml --from env:SHOP_", "a program's own too"],
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
    if (values.length === 0) output.note(`nothing is configured at ${prefix}`);
    if (output.json || values.length === 0) return;
    const withSources = options.sources === true;
    const rows = values.map(({ key, value, source }) => {
      const text = typeof value === "string" ? value : JSON.stringify(value);
      return withSources ? [key, text, source] : [key, text];
    });
    output.line(output.table(["KEY", "VALUE", ...(withSources ? ["SOURCE"] : [])], rows));
  },
});
