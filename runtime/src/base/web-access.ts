import { MicroError } from "./error.ts";

/** Decides which web pages may send requests to a listener. */
export interface WebAccessOptions {
  /** Where the listener is bound. */
  readonly address: string;
  /**
   * Names, without a port, by which the listener is reached in addition to loopback names; `*`
   * accepts every name. On a loopback address only these are accepted. Elsewhere every name is
   * accepted, unless some are given.
   */
  readonly hosts?: readonly string[] | undefined;
  /**
   * Origins in addition to the listener's own whose pages may send requests; `*` is every origin.
   */
  readonly origins?: readonly string[] | undefined;
  /** Called once for each refused host name. */
  readonly onRefusedHost?: ((host: string) => void) | undefined;
  /** Called once for each refused origin. */
  readonly onRefusedOrigin?: ((origin: string) => void) | undefined;
}

/** The origin information of a request, whatever protocol carries it. */
export interface WebRequest {
  /** The `Host` header or `:authority`. */
  readonly host: string | undefined;
  readonly origin: string | undefined;
  /** The `Sec-Fetch-Site` header. */
  readonly fetchSite: string | undefined;
}

/** The most refused names remembered, so that each is reported once. */
const maxReported = 100;

/**
 * Protects a listener from web pages. A browser sends requests to any address for any page, and its
 * user's machine reaches networks that the page's author does not. So requests of other origins are
 * refused, and on a loopback address also requests for a name that is not this machine's, which a
 * page may have pointed there (DNS rebinding).
 */
export class WebAccess {
  readonly #options: WebAccessOptions;
  readonly #hosts: ReadonlySet<string>;
  readonly #checksHosts: boolean;
  readonly #isLoopback: boolean;
  readonly #reported = new Set<string>();
  /** The host that was accepted last, which most requests name. */
  #lastHost = "";

  constructor(options: WebAccessOptions) {
    const { address, hosts = [] } = options;
    this.#options = options;
    this.#hosts = new Set(hosts.map((host) => host.toLowerCase()));
    const isSocketFile = address.startsWith("unix:");
    this.#isLoopback = !isSocketFile && isLoopbackHost(urlHost(address) ?? "");
    this.#checksHosts =
      !isSocketFile && (this.#isLoopback || hosts.length > 0) && !this.#hosts.has("*");
  }

  /** Why the request is refused, `permission_denied`; undefined when it may proceed. */
  refusal(request: WebRequest): MicroError | undefined {
    return this.hostRefusal(request.host) ?? this.originRefusal(request);
  }

  /**
   * Why the host that the request names is refused, `permission_denied`; undefined when it may
   * proceed.
   */
  hostRefusal(host: string | undefined): MicroError | undefined {
    if (!this.#checksHosts || host === undefined || host === "") return undefined;
    if (host === this.#lastHost) return undefined;
    if (this.#acceptsHost(host)) {
      this.#lastHost = host;
      return undefined;
    }
    this.#report(host, this.#options.onRefusedHost);
    return refused(
      `the host ${JSON.stringify(host.slice(0, 256))} is not accepted at ${this.#options.address}; allow it by MICRO_HOSTS or the option hosts`,
    );
  }

  /**
   * Why the page that sends the request is refused, `permission_denied`; undefined when it may
   * proceed.
   */
  originRefusal({ host, origin, fetchSite }: WebRequest): MicroError | undefined {
    if (origin === undefined && fetchSite === undefined) return undefined;
    if (this.#acceptsOrigin(host, origin, fetchSite)) return undefined;
    if (origin !== undefined) this.#report(origin, this.#options.onRefusedOrigin);
    const page = origin === undefined ? "another site" : JSON.stringify(origin.slice(0, 256));
    return refused(
      `a web page of ${page} may not send requests to ${this.#options.address}; allow its origin by MICRO_CORS_ORIGINS or http.cors.origins`,
    );
  }

  #acceptsHost(text: string): boolean {
    const name = urlHost(text);
    // Browsers never send a host that a URL cannot hold, such as the server lists and socket paths
    // that gRPC clients send.
    if (name === undefined || isLoopbackHost(name) || this.#hosts.has(name)) return true;
    // A page cannot point an IP address elsewhere; but a loopback address is not reached through
    // another address.
    return !this.#isLoopback && isIpHost(name);
  }

  #acceptsOrigin(
    host: string | undefined,
    origin: string | undefined,
    fetchSite: string | undefined,
  ): boolean {
    const { origins = [] } = this.#options;
    if (origins.includes("*") || (origin !== undefined && origins.includes(origin))) return true;
    // The browser's own verdict, which a page cannot change; `none` means that a user typed the
    // address.
    if (fetchSite !== undefined) return fetchSite === "same-origin" || fetchSite === "none";
    return isSameOrigin(origin, host);
  }

  #report(value: string, listener: ((value: string) => void) | undefined): void {
    if (this.#reported.has(value) || this.#reported.size >= maxReported) return;
    this.#reported.add(value);
    listener?.(value.slice(0, 256));
  }
}

/** Whether a page of the origin came from the host that it sends its request to. */
function isSameOrigin(origin: string | undefined, host: string | undefined): boolean {
  if (origin === undefined || host === undefined) return false;
  try {
    const page = new URL(origin);
    return page.origin === origin && page.host === new URL(`${page.protocol}//${host}`).host;
  } catch {
    return false;
  }
}

/**
 * The name in `name:port` as a browser writes it, without a trailing dot; undefined if a URL cannot
 * hold it.
 */
function urlHost(text: string): string | undefined {
  const url = `http://${text}`;
  return URL.canParse(url) ? new URL(url).hostname.replace(/\.$/, "") : undefined;
}

function isLoopbackHost(name: string): boolean {
  return /^(?:.+\.)?localhost$|^127(?:\.\d{1,3}){3}$|^\[::1\]$/.test(name);
}

function isIpHost(name: string): boolean {
  return name.startsWith("[") || /^\d{1,3}(?:\.\d{1,3}){3}$/.test(name);
}

function refused(message: string): MicroError {
  return new MicroError("permission_denied", message, { outcome: "not-executed" });
}
