import { describe, expect, test } from "vitest";
import { StartOrder } from "../src/run/start-order.ts";
import { isWatchedFile, isWatchedFolder } from "../src/run/watched-files.ts";
import type { RunPackage } from "../src/run/workspace.ts";

function pack(
  name: string,
  dependencies: readonly string[],
  more: Partial<RunPackage> = {},
): RunPackage {
  return {
    name: `@shop/${name}`,
    label: name,
    folder: `/shop/${name}`,
    access: false,
    command: "node main.js",
    declared: true,
    after: undefined,
    dependencies: dependencies.map((it) => `@shop/${it}`),
    workspaces: [],
    ...more,
  };
}

function orderOf(packages: readonly RunPackage[]): StartOrder {
  const services = packages.filter(({ command }) => command !== undefined);
  return new StartOrder({ packages, services, generators: [] });
}

const labels = (packages: readonly RunPackage[]) => packages.map(({ label }) => label);
const library = { command: undefined };

describe("the start order", () => {
  test("follows dependencies, also through libraries, and knows the dependents", () => {
    const prices = pack("prices", ["orders"], library);
    const orders = pack("orders", []);
    const order = orderOf([pack("web", ["cart"]), pack("cart", ["prices"]), orders, prices]);
    expect(labels(order.services)).toEqual(["orders", "cart", "web"]);
    expect(labels(order.servicesUsing(prices))).toEqual(["cart", "web"]);
    expect(labels(order.servicesUsing(orders))).toEqual(["orders", "cart", "web"]);
  });

  test("follows micro.after instead, which also breaks a cycle", () => {
    const web = pack("web", ["cart"]);
    const cart = pack("cart", ["web"]);
    expect(() => orderOf([web, cart])).toThrow(
      /depend on each other in a circle: web -> cart -> web; /,
    );
    const after = (names: readonly string[]) => ({ ...cart, after: names });
    expect(labels(orderOf([web, after([])]).services)).toEqual(["cart", "web"]);
    expect(() => orderOf([web, after(["webb"])])).toThrow(/names webb, .*did you mean web\?/);
  });

  test("accepts libraries that depend on each other", () => {
    const [a, b] = [pack("a", ["b"], library), pack("b", ["a"], library)];
    expect(labels(orderOf([pack("web", ["a"]), a, b]).services)).toEqual(["web"]);
  });
});

test("watches the files that a service runs from, and no other", () => {
  const rule = (...commands: string[]) => ({ commands });
  for (const file of ["a.ts", "a.mjs", "a.proto", "buf.gen.yaml", ".env", ".env.local", "a.json"]) {
    expect(isWatchedFile(`/shop/${file}`), file).toBe(true);
  }
  for (const file of ["a.test.ts", "a.log", "a.db", "README.md", ".eslintrc.json"]) {
    expect(isWatchedFile(`/shop/${file}`), file).toBe(false);
  }
  for (const folder of ["node_modules", ".git", "test", "coverage", "dist"]) {
    expect(isWatchedFolder(`/shop/${folder}`, rule("tsx src/main.ts")), folder).toBe(false);
  }
  expect(isWatchedFolder("/shop/dist", rule("node dist/main.js"))).toBe(true);
  expect(isWatchedFolder("/shop/dist", rule("node ./dist/main.js"))).toBe(true);
  expect(isWatchedFolder("/shop/dist", rule("node my-dist/main.js"))).toBe(false);
});
