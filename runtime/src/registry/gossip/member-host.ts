import { randomBytes } from "node:crypto";
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { networkInterfaces } from "node:os";
import { waitUntilAborted } from "../../base/abort.ts";
import { formatAddress, parseAddress } from "../../base/address.ts";
import { advertisedAddress } from "../../base/advertised-address.ts";
import { DeadlineSweep } from "../../base/deadline.ts";
import { MicroError } from "../../base/error.ts";
import type { Target } from "./datagram.ts";
import type { RequestFailure } from "./environment.ts";
import { GossipMember } from "./gossip-member.ts";
import { readKeyFile } from "./key-file.ts";
import { Keyring } from "./keyring.ts";
import { GossipLink } from "./link.ts";
import type { Endpoint } from "./member-update.ts";
import { canonicalIp, resolveSeeds } from "./seeds.ts";
import type { GossipSettings } from "./settings.ts";
import type { PacketCounters } from "./stats.ts";
import type { RefusalKind } from "./stream-server.ts";

/** How often the key file is read again, in milliseconds. */
const refreshMs = 1_000;
/** How often the names of seeds are looked up again, in milliseconds. */
const lookupMs = 5_000;
/** Time between the datagrams that say goodbye, of which one may be lost. */
const goodbyeGapMs = 30;

/** How long a registration waits for another member to have it, in milliseconds. */
const spreadMs = 500;

/**
 * Whether the cluster was joined, and why not for each seed; undefined if no seed is another
 * process.
 */
export type JoinResult =
  | { readonly joined: true | undefined }
  | { readonly joined: false; readonly failures: readonly string[] };

/** What a {@link MemberHost} reports. */
export interface HostListeners {
  recordsChanged(keys: ReadonlySet<string>): void;
  memberChanged(member: Target, live: boolean): void;
  isolationChanged(isolated: boolean): void;
  refused(kind: RefusalKind, address: string): void;
}

/** A member of the cluster with sockets, a clock and timers. */
export class MemberHost {
  readonly member: GossipMember;
  readonly #settings: GossipSettings;
  readonly #keyring: Keyring;
  readonly #link: GossipLink;
  readonly #sweep: DeadlineSweep;
  readonly #refreshing: NodeJS.Timeout;
  /** The waits for another member to ask for the own records. */
  readonly #spreading = new Set<() => void>();
  #unresolved: readonly string[] = [];
  #lookedUpAt = Number.NEGATIVE_INFINITY;
  #keysWarned = false;
  #closed = false;

  private constructor(parts: {
    readonly settings: GossipSettings;
    readonly keyring: Keyring;
    readonly link: GossipLink;
    readonly id: string;
    readonly endpoint: Endpoint;
    readonly listeners: HostListeners;
  }) {
    const { settings, keyring, link, id, endpoint, listeners } = parts;
    this.#settings = settings;
    this.#keyring = keyring;
    this.#link = link;
    this.#sweep = new DeadlineSweep(() => {
      this.member.advance();
      return Number.POSITIVE_INFINITY;
    });
    const env = {
      now: () => performance.now(),
      random: Math.random,
      send: link.send.bind(link),
      request: link.request.bind(link),
      wakeAt: (at: number) => {
        if (!this.#closed) this.#sweep.watch(at);
      },
      recordsChanged: listeners.recordsChanged,
      memberChanged: listeners.memberChanged,
      isolationChanged: listeners.isolationChanged,
    };
    this.member = new GossipMember(id, endpoint, env, settings.timing);
    // The response is on its way when they resolve.
    this.member.onPulled = () => {
      for (const done of this.#spreading) done();
    };
    this.#refreshing = setInterval(() => void this.#refresh(), refreshMs);
    this.#refreshing.unref();
  }

  /** @throws MicroError `unavailable` when the port cannot be opened. */
  static async open(
    settings: GossipSettings,
    counters: PacketCounters,
    listeners: HostListeners,
  ): Promise<MemberHost> {
    const id = randomBytes(8).toString("hex");
    const keyring = new Keyring(settings.keys);
    let host: MemberHost | undefined;
    const { host: address, port, anyPort } = settings;
    const link = await GossipLink.open(
      { id, host: address, port, anyPort, keyring, counters },
      {
        receive: (from, payload) => host?.member.receive(from, payload),
        serve: (request) => host?.member.serve(request),
        refused: listeners.refused,
      },
    );
    try {
      const endpoint = await ownEndpoint(settings, link.port);
      host = new MemberHost({ settings, keyring, link, id, endpoint, listeners });
    } catch (error) {
      await link.close();
      throw error;
    }
    return host;
  }

  /** The names of the keys in use. */
  get keyIds(): readonly string[] {
    return this.#keyring.ids;
  }

  /** Where others reach this member. */
  get endpoint(): Endpoint {
    return this.member.membership.self;
  }

  /**
   * Joins the cluster through the seeds. Resolves once the records of one of them are here, or when
   * none can be reached in time; the member then keeps trying by itself.
   */
  async join(): Promise<JoinResult> {
    const end = performance.now() + this.#settings.joinTimeoutMs;
    for (;;) {
      const seeds = await this.#resolve();
      if (this.#closed) return { joined: false, failures: [] };
      if (seeds.length === 0 && this.#settings.seeds.every(({ host }) => isIP(host) !== 0)) {
        return { joined: undefined };
      }
      const failures = await Promise.all(seeds.map((seed) => this.#exchange(seed)));
      if (failures.includes(undefined)) {
        while (!this.member.isComplete && performance.now() < end && !this.#closed) await pause(5);
        return { joined: true };
      }
      if (performance.now() + 200 >= end || this.#closed) {
        const unresolved = this.#unresolved.map((name) => `${name} does not resolve`);
        const unreached = seeds.map((seed, at) => describeFailure(seed, failures[at]));
        return { joined: false, failures: [...unresolved, ...unreached] };
      }
      await pause(200);
    }
  }

  /**
   * Resolves once another member has the own records of now, or after some time: others find them
   * by then, as far as they can be reached.
   */
  async spread(signal: AbortSignal | undefined): Promise<void> {
    if (this.member.membership.live.size === 0) return;
    await waitUntilAborted(signal, (done) => {
      const timer = setTimeout(done, spreadMs);
      this.#spreading.add(done);
      return () => {
        clearTimeout(timer);
        this.#spreading.delete(done);
      };
    });
  }

  /** Tells others that this member leaves, and closes the sockets. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#refreshing);
    this.#sweep.close();
    if (this.member.membership.live.size > 0) {
      this.member.leave();
      await pause(goodbyeGapMs);
      this.member.leave();
      await pause(goodbyeGapMs);
    }
    await this.#link.close();
  }

  #exchange(seed: Endpoint): Promise<RequestFailure | undefined> {
    return new Promise((resolve) => this.member.join(seed, resolve));
  }

  /** The addresses of the seeds without this member's own. */
  async #resolve(): Promise<readonly Endpoint[]> {
    this.#lookedUpAt = performance.now();
    const { endpoint } = this;
    const { endpoints, unresolved } = await resolveSeeds(this.#settings.seeds);
    this.#unresolved = unresolved;
    const others = endpoints.filter(
      ({ host, port }) => host !== endpoint.host || port !== endpoint.port,
    );
    this.member.seeds = others;
    return others;
  }

  async #refresh(): Promise<void> {
    const { seeds, keyFile, logger } = this.#settings;
    const isDue = performance.now() - this.#lookedUpAt >= lookupMs;
    if (isDue && seeds.some(({ host }) => isIP(host) === 0)) await this.#resolve();
    if (keyFile === undefined || this.#closed) return;
    try {
      this.#keyring.replace(readKeyFile(keyFile));
      this.#keysWarned = false;
    } catch (reason) {
      if (this.#keysWarned) return;
      this.#keysWarned = true;
      logger.warn({ reason }, "the key file of gossip is invalid; the keys in use stay");
    }
  }
}

/** @throws MicroError `invalid_argument` for an address that does not resolve. */
async function ownEndpoint(settings: GossipSettings, port: number): Promise<Endpoint> {
  const { host: listening, advertise } = settings;
  const own = listening.includes(":") ? `[${listening}]:${port}` : `${listening}:${port}`;
  const address = parseAddress(advertisedAddress(own, advertise, interfacesFor(settings)));
  if (address.kind !== "host") throw refused(advertise, "is not a host and a port");
  if (isIP(address.host) !== 0) return { host: canonicalIp(address.host), port: address.port };
  const found = await lookup(address.host).catch((cause: unknown) => {
    throw refused(advertise, "does not resolve to an IP address", cause);
  });
  return { host: canonicalIp(found.address), port: address.port };
}

/** The network interfaces, with their IPv6 addresses alone where all seeds have such. */
function interfacesFor({ seeds }: GossipSettings): ReturnType<typeof networkInterfaces> {
  const all = networkInterfaces();
  if (seeds.length === 0 || seeds.some(({ host }) => isIP(host) !== 6)) return all;
  return Object.fromEntries(
    Object.entries(all).map(([name, infos]) => [
      name,
      infos?.filter(({ family }) => family === "IPv6"),
    ]),
  );
}

function refused(advertise: string | undefined, why: string, cause?: unknown): MicroError {
  return new MicroError("invalid_argument", `gossip: the advertised ${advertise} ${why}`, {
    outcome: "not-executed",
    cause,
  });
}

function describeFailure(seed: Endpoint, failure: RequestFailure = "silent"): string {
  const what = {
    refused: "refuses connections",
    ended: "ends connections, as a member with another key or version does",
    silent: "does not respond",
  } as const;
  return `${formatAddress({ kind: "host", ...seed })} ${what[failure]}`;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
