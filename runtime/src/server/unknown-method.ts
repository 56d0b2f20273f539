import { MicroError } from "../base/error.ts";
import { nearest } from "../base/suggest.ts";

/** Maximum length of an unknown name that is examined and repeated; the name is untrusted. */
const longestName = 200;

/** Maximum number of methods that a message names. */
const mostNamed = 5;

/**
 * The error of a call to a method that a server does not have: it suggests the method that may have
 * been meant, or lists those available.
 */
export function unknownMethod(
  server: string,
  name: string,
  methods: readonly string[],
): MicroError {
  const asked = name.slice(0, longestName);
  return new MicroError(
    "unimplemented",
    `server ${server} has no method ${JSON.stringify(asked)}; ${instead(asked, methods)}`,
    { outcome: "not-executed" },
  );
}

function instead(asked: string, methods: readonly string[]): string {
  if (methods.length === 0) return "it has none that the caller may know of";
  const service = serviceOf(asked);
  const ofService = methods.filter((method) => serviceOf(method) === service);
  const similar = nearest(asked, ofService.length > 0 ? ofService : methods);
  if (similar !== undefined) return `did you mean ${similar}?`;
  const named = (ofService.length > 0 ? ofService : methods).slice(0, mostNamed);
  const more = methods.length - named.length;
  return `it has ${named.join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}

function serviceOf(method: string): string {
  return method.slice(0, method.lastIndexOf("/"));
}
