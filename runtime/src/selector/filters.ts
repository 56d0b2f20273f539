import type { NodeFilter } from "./selector.ts";

/** Nodes of one of these versions. */
export function byVersion(...versions: readonly string[]): NodeFilter {
  const wanted = new Set(versions);
  return named(`version ${versions.join(" or ")}`, (node) => wanted.has(node.version));
}

/** Nodes that answer an endpoint, such as `Greeter.Hello`. */
export function byEndpoint(name: string): NodeFilter {
  return named(`endpoint ${name}`, (node) =>
    node.endpoints.some((endpoint) => endpoint.name === name),
  );
}

/** Nodes whose metadata has this value under this key. */
export function byLabel(key: string, value: string): NodeFilter {
  return named(`label ${key}=${value}`, (node) => node.metadata[key] === value);
}

/** Gives a filter the name that the error of a call shows when no node passes. */
function named(name: string, filter: NodeFilter): NodeFilter {
  return Object.defineProperty(filter, "name", { value: name });
}
