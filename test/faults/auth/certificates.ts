import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import {
  type Client,
  type ClientTlsOptions,
  createClient,
  createService,
  httpTransport,
  memoryBroker,
  memoryRegistry,
  ReloadableIdentity,
  silentLogger,
  type TlsIdentity,
  type Transport,
  tcpTransport,
} from "@micro-es/runtime";
import { certificateAuth, staticRules } from "@micro-es/runtime/auth";
import {
  createGuardedServiceClient,
  registerGuardedServiceHandler,
} from "../../gen/micro/test/v1/guarded_micro.ts";
import { TestAuthority } from "../../support/certificates.ts";
import { FaultProxy } from "../../support/proxy.ts";
import type { Figure, Length } from "../figure.ts";
import { scratchDirectory } from "../scratch.ts";
import { until } from "../until.ts";
import { guardedHandler } from "./guarded-handler.ts";
import { SteadyCalls } from "./steady-calls.ts";

/** The longest time until every connection uses the new certificates, in milliseconds. */
const renewalMs = 60_000;
/** A file with a bundle is looked at every two seconds. */
const bundleMs = 5_000;
/** The longest time that an expired certificate is accepted, in milliseconds. */
const expiryMs = 1_000;

const ways: Readonly<Record<string, (client: ClientTlsOptions, port: number) => Reached>> = {
  native: (client, port) => [tcpTransport({ tls: { client } }), `127.0.0.1:${port}`],
  gRPC: (client, port) => [httpTransport({ tls: { client } }), `https://127.0.0.1:${port}`],
  "Connect over HTTP/1.1": (client, port) => [
    httpTransport({ protocol: "connect", httpVersion: "1.1", tls: { client } }),
    `https://127.0.0.1:${port}`,
  ],
};
type Reached = readonly [Transport, string];

/** An account's domain, and its way to the server. */
class Caller implements AsyncDisposable {
  readonly load: SteadyCalls;
  readonly proxy: FaultProxy;
  readonly #client: Client;

  constructor(proxy: FaultProxy, [transport, address]: Reached, perSecond: number) {
    this.proxy = proxy;
    this.#client = createClient({
      registry: memoryRegistry(),
      transports: [transport],
      logger: silentLogger,
    });
    const guarded = createGuardedServiceClient(this.#client);
    this.load = new SteadyCalls(perSecond, () =>
      guarded.delete({ document: "a" }, { address, timeoutMs: 10_000 }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.load[Symbol.asyncDispose]();
    await this.#client.close();
    await this.proxy.close();
  }
}

/**
 * The certificates of a server and of its callers are replaced again and again under load, each
 * before it expires; meanwhile the certificate of one caller expires, and the bundle of another's
 * domain no longer has its authority.
 *
 * @param planted replaces them once only, so that they expire while they are used
 */
async function replacements(length: Length, planted: boolean): Promise<Figure> {
  const rounds = length === "long" ? 20 : 5;
  const everyMs = length === "long" ? 3_000 : 1_500;
  using scratch = scratchDirectory();
  using authority = new TestAuthority();
  using other = new TestAuthority();
  using next = new TestAuthority();
  const bundle = (domain: string, { ca }: TestAuthority) => {
    const file = join(scratch.path, `${domain}.pem`);
    writeFileSync(file, ca);
    return { file };
  };
  const bundles = {
    "acme.example": bundle("acme.example", authority),
    "other.example": bundle("other.example", other),
  };
  const callerId = "spiffe://acme.example/order";
  const otherId = "spiffe://other.example/order";
  // Each is valid for as long as three are used; they are all issued now.
  const issuedAt = Date.now();
  const identities = Array.from({ length: rounds + 1 }, (_, round) => {
    const seconds = 6 + Math.ceil(((round + 3) * everyMs) / 1_000);
    const issue = (name: string) => ({
      ...authority.issue({ names: [name], seconds }),
      ca: authority.ca,
    });
    return { server: issue("IP:127.0.0.1"), client: issue(`URI:${callerId}`) };
  });
  const [first] = identities;
  const server = new ReloadableIdentity(presented(first!.server));
  const client = new ReloadableIdentity(first!.client);

  await using service = createService({
    name: "guarded",
    registry: memoryRegistry(),
    broker: memoryBroker(),
    logger: silentLogger,
    environment: { MICRO_ADDRESS: "127.0.0.1:0", MICRO_DRAIN_DELAY: "0ms" },
    transports: [
      tcpTransport({ tls: { server: { identity: server, clientCertificate: "required" } } }),
    ],
    auth: certificateAuth({ bundles, logger: silentLogger }),
    access: {
      rules: staticRules(
        [callerId, otherId].map((account, index) => ({
          ...{ id: `grant-${index}`, account, issuer: account.slice(0, account.lastIndexOf("/")) },
          scopes: ["documents.write"],
        })),
      ),
    },
  });
  registerGuardedServiceHandler(service.server, guardedHandler());
  await service.start();
  const port = Number(service.server.addresses[0]?.split(":")[1]);
  const callBy = async (way: string, identity: ClientTlsOptions["identity"], perSecond: number) => {
    const proxy = await FaultProxy.start(port);
    return new Caller(proxy, ways[way]!({ identity: identity! }, proxy.port), perSecond);
  };

  const callers: Caller[] = [];
  for (const way of Object.keys(ways)) callers.push(await callBy(way, client, 160));
  const expiring = authority.issue({ names: [`URI:${callerId}`], seconds: 5 });
  const expiresAt = performance.now() + 5_000;
  const expired = await callBy("native", { ...expiring, ca: authority.ca }, 10);
  const foreign = other.issue({ names: [`URI:${otherId}`] });
  const removed = await callBy("gRPC", { ...foreign, ca: authority.ca }, 10);
  let renewedMs = 0;
  let removedAt = Number.POSITIVE_INFINITY;
  try {
    for (const [round, { server: ofServer, client: ofClient }] of identities.entries()) {
      if (round === 0) continue;
      await sleep(everyMs);
      if (round === 2) {
        writeFileSync(bundles["other.example"].file, next.ca);
        removedAt = performance.now();
      }
      if (planted && round > 1) continue;
      const replacedAt = performance.now();
      // The two sides do not do so at the same time.
      server.replace(presented(ofServer));
      await sleep(everyMs / 10);
      client.replace(ofClient);
      const isNew = () =>
        callers.every(({ proxy }) => proxy.openSince.every((at) => at > replacedAt));
      renewedMs = Math.max(renewedMs, await until(isNew, renewalMs));
    }
    await sleep(planted ? 6_000 : Math.max(0, removedAt + bundleMs + 500 - performance.now()));
  } finally {
    await Promise.all([...callers, expired, removed].map((it) => it[Symbol.asyncDispose]()));
  }
  const failures = callers.flatMap(({ load }) => load.failures);
  const calls = callers.reduce((sum, { load }) => sum + load.calls.length, 0);
  const afterExpiry = succeededAfter(expired, expiresAt + expiryMs);
  const afterRemoval = succeededAfter(removed, removedAt + bundleMs);
  const tooEarly = failedBefore(expired, expiresAt - 2_000) + failedBefore(removed, removedAt);
  const seconds = Math.round((Date.now() - issuedAt) / 1_000);
  return {
    id: planted ? "AU7-planted" : "AU7",
    recipe: `certificates of a server and of 3 kinds of clients replaced ${planted ? 1 : rounds} times in ${seconds} s under ${500} calls/s, one expires, the authority of another's domain is removed`,
    found: `${failures.length} of ${calls} calls failed${failures.length > 0 ? ` (${failures[0]?.failure})` : ""}; all connections with the new certificates after ${Math.round(renewedMs)} ms; ${afterExpiry} calls answered ${expiryMs} ms after the expiry, ${afterRemoval} ${bundleMs} ms after the removal, ${tooEarly} refused before`,
    bound: `0 failed; ${renewalMs} ms; 0, 0, 0`,
    holds:
      failures.length === 0 &&
      calls > 0 &&
      renewedMs <= renewalMs &&
      afterExpiry === 0 &&
      afterRemoval === 0 &&
      tooEarly === 0,
  };
}

export const certificatesReplaced = (length: Length): Promise<Figure> =>
  replacements(length, false);

/** What the recipe finds where certificates are not replaced before they expire. */
export async function certificatesLeft(): Promise<Figure> {
  const figure = await replacements("short", true);
  return {
    ...figure,
    bound: "calls fail with the certificates that expire, which AU7 notices",
    holds: !figure.holds && !/^0 of/.test(figure.found),
  };
}

/** Without `ca`, the auth verifies the issuers of clients, and not the handshake. */
function presented({ key, cert }: TlsIdentity): TlsIdentity {
  return { key, cert };
}

function succeededAfter({ load }: Caller, at: number): number {
  return load.calls.filter(({ sentAt, failure }) => sentAt > at && failure === undefined).length;
}

function failedBefore({ load }: Caller, at: number): number {
  return load.failures.filter(({ sentAt }) => sentAt < at).length;
}
