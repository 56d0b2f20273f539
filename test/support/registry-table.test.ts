import { memoryRegistry } from "@micro-es/runtime";
import type { Driver } from "@micro-es/runtime/driver";
import { expect, test } from "vitest";
import { registryTable, withTable } from "./registry-table.ts";

test("a driver with a registry gets a row from its guarantees, and others get none", async () => {
  const close = async () => {};
  const fast: Driver = {
    schemes: ["fast"],
    open: () => ({ registry: () => memoryRegistry(), close }),
  };
  const none: Driver = { schemes: ["none"], open: () => ({ close }) };
  expect((await registryTable([fast, none])).slice(2)).toEqual([
    "| `fast:` | yes | this process | strong | with the registry's process |",
  ]);
});

test("the table replaces what was in its place", () => {
  const text = "a\n<!-- registries: begin -->\nold\n<!-- registries: end -->\nb";
  const wanted = "a\n<!-- registries: begin -->\n\nnew\n\n<!-- registries: end -->\nb";
  expect(withTable(text, ["new"])).toBe(wanted);
  expect(withTable(wanted, ["new"])).toBe(wanted);
  expect(() => withTable("a", [])).toThrow("docs/choosing-a-registry.md lacks");
});
