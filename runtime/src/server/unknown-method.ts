import { MicroError } from "../error.ts";
import { nearest } from "./nearest.ts";

/** The most of an unknown name that is looked at and said back; it comes from outside. */
const longestName = 200;

/** The most methods that a message names. */
const mostNamed = 5;

/**
 * The error of a call of a method that a server does not have: it says which one may have been meant, or what
 * there is.
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
  if (methods.length === 0) return "it has none at all";
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
