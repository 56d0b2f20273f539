import { MicroError } from "../base/error.ts";
import { type Allowance, Bucket } from "../base/rate-limit.ts";
import { nearest } from "../base/suggest.ts";

/** Maximum length of an unknown name that is examined and repeated; the name is untrusted. */
const longestName = 200;

/** Maximum number of methods that a message names. */
const mostNamed = 5;

/**
 * How often a name is compared with those of the methods: that may take milliseconds, and a call of
 * the native protocol takes 16 bytes.
 */
const comparisons: Allowance = { what: "names were compared", burst: 100, perSecond: 20 };

/** Creates the errors of calls to methods that a server does not have. */
export class UnknownMethods {
  readonly #server: string;
  readonly #comparisons = new Bucket(comparisons);

  /** @param server its name, for messages */
  constructor(server: string) {
    this.#server = server;
  }

  /**
   * The error of a call to this name: it suggests the method that may have been meant, or lists
   * those available, unless many such errors were created shortly before.
   *
   * @param methods returns the methods that the caller may know of
   */
  error(name: string, methods: () => readonly string[]): MicroError {
    const asked = name.slice(0, longestName);
    const text = `server ${this.#server} has no method ${JSON.stringify(asked)}`;
    const more = this.#maySuggest() ? `; ${instead(asked, methods())}` : "";
    return new MicroError("unimplemented", text + more, { outcome: "not-executed" });
  }

  #maySuggest(): boolean {
    return !this.#comparisons.isOverdrawn && this.#comparisons.take();
  }
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
