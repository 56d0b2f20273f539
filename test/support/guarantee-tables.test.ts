import { memoryBroker, memoryRegistry } from "@micro-es/runtime";
import type { Driver } from "@micro-es/runtime/driver";
import { expect, test } from "vitest";
import { brokers, registries, tableOf, withTable } from "./guarantee-tables.ts";

const close = async () => {};
const fast: Driver = {
  schemes: ["fast"],
  open: () => ({ registry: () => memoryRegistry(), broker: () => memoryBroker(), close }),
};
const none: Driver = { schemes: ["none"], open: () => ({ close }) };

test("a driver with the part gets a row from its guarantees, and others get none", async () => {
  expect((await tableOf(registries, [fast, none])).slice(2)).toEqual([
    "| `fast:` | yes | this process | strong | with the registry's process |",
  ]);
  const [row, ...others] = (await tableOf(brokers, [fast, none])).slice(2);
  expect(row).toMatch(
    /^\| `fast:` \| at most once \| by key \| .* \| dropped and counted \| \d+ MiB \|$/,
  );
  expect(others).toEqual([]);
});

test("the table replaces what was in its place", () => {
  const text = "a\n<!-- registries: begin -->\nold\n<!-- registries: end -->\nb";
  const wanted = "a\n<!-- registries: begin -->\n\nnew\n\n<!-- registries: end -->\nb";
  expect(withTable(text, registries, ["new"])).toBe(wanted);
  expect(withTable(wanted, registries, ["new"])).toBe(wanted);
  expect(() => withTable("a", registries, [])).toThrow("docs/choosing-a-registry.md lacks");
});
