import { MicroError } from "@micro-es/runtime";
import { BackendStatus, type NodeBackend, throwIfAborted } from "@micro-es/runtime/driver";
import { askServer, type DnsResponse } from "./ask-server.ts";
import type { Question } from "./question.ts";
import { type DnsServer, systemServers } from "./servers.ts";

/** The waits for a response in each round over the servers, in milliseconds. */
const roundsMs: readonly number[] = [1_000, 2_000];
/** As large as servers respond by UDP; Consul leaves out nodes that do not fit. */
const ednsBytes = 4_096;
/** What passes every network in one piece, for when larger responses are lost. */
const safeEdnsBytes = 1_232;

/** How DNS servers are asked. */
export interface DnsLinkOptions {
  /** Default: those of the system. */
  readonly servers: readonly DnsServer[] | undefined;
  readonly overTcp: boolean;
}

/** What a registry needs of it. */
type Link = NodeBackend["link"];

/** Asks DNS servers, and sums up whether the lookups of all followed services succeed. */
export class DnsLink implements Link {
  readonly status: BackendStatus = new BackendStatus();
  readonly #options: DnsLinkOptions;
  readonly #failures = new Map<string, MicroError>();
  readonly #closed = new AbortController();
  #wasReached = false;
  /** The server that responded last is asked first. */
  #first: DnsServer | undefined;

  constructor(options: DnsLinkOptions) {
    this.#options = options;
  }

  get connected(): boolean {
    return this.status.state === "healthy";
  }

  get closed(): boolean {
    return this.#closed.signal.aborted;
  }

  /** Whether a server has ever responded. */
  get wasReached(): boolean {
    return this.#wasReached;
  }

  /** There is no connection: the first lookup shows whether a server responds. */
  async open(): Promise<void> {}

  onReconnect(): () => void {
    return () => {};
  }

  /**
   * Asks the servers in turn, twice.
   * @throws MicroError `unavailable` if none responds.
   */
  async ask(question: Question, signal: AbortSignal): Promise<DnsResponse> {
    const { overTcp } = this.#options;
    const servers = this.#inTurn();
    let failure: unknown;
    for (const [round, timeoutMs] of roundsMs.entries()) {
      for (const server of servers) {
        throwIfAborted(signal);
        try {
          const response = await askServer(server, question, {
            timeoutMs,
            ednsBytes: round === 0 ? ednsBytes : safeEdnsBytes,
            overTcp,
            signal,
          });
          this.#wasReached = true;
          this.#first = server;
          return response;
        } catch (error) {
          failure = error;
        }
      }
    }
    throwIfAborted(signal);
    throw (
      failure ??
      new MicroError("unavailable", "this machine has no DNS server; name one in the URL", {
        outcome: "not-executed",
      })
    );
  }

  /** Reports whether the last lookup of a service succeeded. */
  report(service: string, failure: MicroError | undefined): void {
    if (failure === undefined) this.#failures.delete(service);
    else this.#failures.set(service, failure);
    if (this.#closed.signal.aborted) return;
    const [reason] = this.#failures.values();
    if (reason === undefined) this.status.set("healthy");
    else this.status.set(this.#wasReached ? "degraded" : "lost", reason);
  }

  async close(): Promise<void> {
    this.#closed.abort();
  }

  #inTurn(): readonly DnsServer[] {
    const servers = this.#options.servers ?? systemServers();
    const at = servers.findIndex(
      ({ host, port }) => host === this.#first?.host && port === this.#first.port,
    );
    return at <= 0 ? servers : [...servers.slice(at), ...servers.slice(0, at)];
  }
}
