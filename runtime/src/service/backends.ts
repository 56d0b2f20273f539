import type { BackendUrl } from "../base/backend-url.ts";
import { asMicroError, MicroError } from "../base/error.ts";
import { withoutCredentials } from "../base/redact.ts";
import { nearest } from "../base/suggest.ts";
import { builtInDrivers } from "./built-in-drivers.ts";
import type { Driver, DriverContext, DriverPart, DriverParts } from "./driver.ts";
import { driverPackage, publishedSchemes } from "./driver-package.ts";

/** A URL, and the variable that contains it; undefined for a default. */
export interface NamedUrl {
  readonly variable: string | undefined;
  readonly url: BackendUrl;
}

interface Opened {
  readonly url: BackendUrl;
  readonly parts: DriverParts;
}

/** The backends named by a program's URLs, each opened once by its driver. */
export class Backends {
  readonly #drivers: readonly Driver[];
  readonly #context: DriverContext;
  readonly #onOpen: (parts: DriverParts) => void;
  readonly #opened: Opened[] = [];

  /**
   * @param drivers the application's drivers; they take precedence over the built-in ones.
   * @param onOpen receives each opened backend, to be closed after its parts.
   */
  constructor(
    drivers: readonly Driver[],
    context: DriverContext,
    onOpen: (parts: DriverParts) => void,
  ) {
    this.#drivers = [...drivers, ...builtInDrivers];
    this.#context = context;
    this.#onOpen = onOpen;
  }

  /**
   * The part of the backend at a URL.
   * @throws MicroError `invalid_argument` if no driver matches the URL, the backend has no such
   * part, or its driver rejects the URL.
   */
  part<P extends DriverPart>(kind: P, named: NamedUrl): ReturnType<NonNullable<DriverParts[P]>> {
    const part = this.partIfAny(kind, named);
    if (part !== undefined) return part;
    const has = partNames(this.#open(named));
    throw invalid(named, `${named.url.scheme}: has no ${kind}; it has ${has.join(", ")}`);
  }

  /** As {@link part}; undefined if the backend has no such part. */
  partIfAny<P extends DriverPart>(
    kind: P,
    named: NamedUrl,
  ): ReturnType<NonNullable<DriverParts[P]>> | undefined {
    const parts = this.#open(named);
    try {
      return parts[kind]?.() as ReturnType<NonNullable<DriverParts[P]>> | undefined;
    } catch (reason) {
      throw explained(named, reason);
    }
  }

  #open(named: NamedUrl): DriverParts {
    const { url } = named;
    const known = this.#opened.find((it) => it.url.equals(url));
    if (known !== undefined) return known.parts;
    const driver = this.#driverOf(named);
    if (url.hosts.length > 1 && driver.severalHosts !== true) {
      throw invalid(named, `${url.scheme}: takes one host`);
    }
    let parts: DriverParts;
    try {
      parts = driver.open(url, this.#context);
    } catch (reason) {
      throw explained(named, reason);
    }
    this.#opened.push({ url, parts });
    this.#onOpen(parts);
    return parts;
  }

  #driverOf(named: NamedUrl): Driver {
    const { scheme } = named.url;
    const driver = this.#drivers.find(({ schemes }) => schemes.includes(scheme));
    if (driver !== undefined) return driver;
    const loaded = this.#drivers.flatMap((it) => it.schemes);
    const isPublished = publishedSchemes.includes(scheme);
    const meant = isPublished ? undefined : similar(scheme, [...loaded, ...publishedSchemes]);
    const { name, value } = driverPackage(scheme);
    throw new MicroError(
      "invalid_argument",
      `${shown(named)} needs the driver ${name}: npm i ${name}, and pass it: ` +
        `createService({ drivers: [${value}] }) or drivers: await loadDrivers()` +
        (meant === undefined ? "" : suggestion(meant, loaded)),
      { outcome: "not-executed" },
    );
  }
}

function similar(scheme: string, schemes: readonly string[]): string | undefined {
  return nearest(scheme, schemes, scheme.length < 6 ? 1 : 2);
}

function suggestion(scheme: string, loaded: readonly string[]): string {
  const install = loaded.includes(scheme) ? "" : ` (npm i ${driverPackage(scheme).name})`;
  return `; did you mean ${scheme}:?${install}`;
}

/** The parts that a backend has, as listed in messages. */
function partNames(parts: DriverParts): readonly string[] {
  const kinds: Record<DriverPart, true> = {
    registry: true,
    broker: true,
    store: true,
    sync: true,
    config: true,
    transport: true,
  };
  return (Object.keys(kinds) as DriverPart[]).filter((kind) => parts[kind] !== undefined);
}

function shown({ variable, url }: NamedUrl): string {
  return variable === undefined ? `${url}` : `${variable}=${url}`;
}

function invalid(named: NamedUrl, message: string): MicroError {
  return explained(named, new MicroError("invalid_argument", message));
}

/** A driver's error with the variable added, and without credentials that it may have quoted. */
function explained(named: NamedUrl, reason: unknown): MicroError {
  const { code, message } = asMicroError(reason, "internal");
  const place = named.variable === undefined ? "" : `${shown(named)} cannot be used: `;
  return new MicroError(code, `${place}${withoutCredentials(message)}`, {
    outcome: "not-executed",
  });
}
