import type { NodeFilter } from "./selector.ts";

/**
 * Selects nodes with one of these versions.
 *
 * @example
 * ```ts
 * import { byVersion, createClient } from "@micro-es/runtime";
 * import { createGreeterClient } from "./gen/greeter/v1/greeter_micro.js";
 *
 * const greeter = createGreeterClient(createClient());
 * await greeter.hello({ name: "Ada" }, { filters: [byVersion("2.0.0")] });
 * ```
 */
export function byVersion(...versions: readonly string[]): NodeFilter {
  const wanted = new Set(versions);
  return named(`version ${versions.join(" or ")}`, (node) => wanted.has(node.version));
}

/**
 * Selects nodes that serve an endpoint, such as `Greeter.Hello`.
 *
 * @example
 * ```ts
 * import { byEndpoint, createClient } from "@micro-es/runtime";
 * import { createGreeterClient } from "./gen/greeter/v1/greeter_micro.js";
 *
 * const greeter = createGreeterClient(createClient());
 * await greeter.hello({ name: "Ada" }, { filters: [byEndpoint("Greeter.Hello")] });
 * ```
 */
export function byEndpoint(name: string): NodeFilter {
  return named(`endpoint ${name}`, (node) =>
    node.endpoints.some((endpoint) => endpoint.name === name),
  );
}

/**
 * Selects nodes whose metadata has this value under this key.
 *
 * @example
 * ```ts
 * import { byLabel, createClient } from "@micro-es/runtime";
 * import { createGreeterClient } from "./gen/greeter/v1/greeter_micro.js";
 *
 * const greeter = createGreeterClient(createClient());
 * await greeter.hello({ name: "Ada" }, { filters: [byLabel("zone", "eu-1")] });
 * ```
 */
export function byLabel(key: string, value: string): NodeFilter {
  return named(`label ${key}=${value}`, (node) => node.metadata[key] === value);
}

/** Names a filter; the error of a call shows the name when no node passes. */
function named(name: string, filter: NodeFilter): NodeFilter {
  return Object.defineProperty(filter, "name", { value: name });
}
