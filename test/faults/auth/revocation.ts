import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { natsStore } from "@micro-es/nats";
import { httpTransport, silentLogger, type TlsIdentity, tcpTransport } from "@micro-es/runtime";
import { type LocalAuth, localAuth, storeRules } from "@micro-es/runtime/auth";
import { startNats } from "../../../drivers/nats/test/server.ts";
import { TestAuthority } from "../../support/certificates.ts";
import type { Figure, Length } from "../figure.ts";
import { scratchDirectory } from "../scratch.ts";
import { until } from "../until.ts";
import { Caller, type Route } from "./caller.ts";
import { type GuardedServer, type ServerBackend, startGuarded } from "./servers.ts";

/** The ways to end what a token or a certificate is good for, and one that nothing ends. */
const kinds = ["token", "account", "family", "key", "rule", "certificate", "none"] as const;
type Kind = (typeof kinds)[number];

/** How the servers follow the store, with the longest time until a revocation takes effect. */
const bounds = { watched: 1_000, polled: 60_000 } as const;
type Following = keyof typeof bounds;

/** The account whose identity is a certificate. */
const spiffe = { issuer: "spiffe://acme.example", id: "spiffe://acme.example/order" } as const;
const serverCount = 5;
const refreshMs = 100;

interface Issued {
  /** Undefined for the certificate. */
  readonly token: string | undefined;
  readonly claims: { readonly jti: string; readonly sid?: string };
}

/**
 * Accounts are revoked in six ways while five processes are called natively and by gRPC: no call
 * that is sent later than the bound succeeds, every stream has ended by then, and an account that
 * is not revoked calls on.
 *
 * @param planted revokes without the store, so that no process can know of it
 */
async function revocations(
  id: string,
  length: Length,
  following: Following,
  planted = false,
): Promise<Figure> {
  const boundMs = bounds[following];
  await using nats = await startNats();
  using scratch = scratchDirectory();
  const client = issueCertificates(scratch.path);
  const backend = { servers: nats.url, bucket: "auth" };
  await using store = natsStore(backend);
  await using auth = localAuth({ store, issuer: "acme", refreshMs, logger: silentLogger });
  await using rules = storeRules({ store, logger: silentLogger });
  const issued = await issueAll(auth, rules);
  const polled = following === "polled";
  await using servers = await startServers({ ...backend, polled, certificates: scratch.path });
  const routes = servers.all.flatMap(({ address }) => routesTo(address));
  // A hundred calls a second to each process, by all accounts together.
  const everyMs = (10 * kinds.length * routes.length) / serverCount;
  const callers = kinds.flatMap((kind) =>
    routes.map((route) => {
      const tls = kind === "certificate" ? client : { ca: client.ca };
      return { kind, caller: new Caller(route(tls), issued[kind].token, everyMs) };
    }),
  );
  const revokedAt = new Map<Kind, number>();
  try {
    const isWorking = () => callers.every(({ caller }) => caller.succeeded.length > 0);
    if ((await until(isWorking, 20_000)) === Number.POSITIVE_INFINITY) {
      throw new Error("the calls do not succeed at first");
    }
    for (const kind of kinds) {
      await sleep(length === "long" ? 2_000 : 200);
      if (!planted) await revoke(kind, issued[kind], auth, rules);
      revokedAt.set(kind, performance.now());
    }
    if (polled) await until(() => callers.every(hasEnded), boundMs);
    else await sleep(boundMs);
    await sleep(length === "long" ? 10_000 : 500);
  } finally {
    await Promise.all(callers.map(({ caller }) => caller[Symbol.asyncDispose]()));
  }
  const judged = callers.map(({ kind, caller }) =>
    judge(kind, caller, revokedAt.get(kind)!, boundMs),
  );
  const late = sum(judged.map((it) => it.late));
  const open = sum(judged.map((it) => it.open));
  const wrong = sum(judged.map((it) => it.wrong));
  const calls = sum(callers.map(({ caller }) => caller.succeeded.length + caller.failed.length));
  const latestMs = Math.round(Math.max(...judged.map((it) => it.latestMs)));
  const place = polled ? "a store without a watch" : "NATS";
  return {
    id,
    recipe: `${serverCount} processes called natively and by gRPC, with streams, by ${kinds.length} accounts; revoked by token, account, family, key, and rules for a token and a certificate, on ${place}`,
    found: `${calls} calls, ${late} succeeded later than ${boundMs} ms, the last after ${latestMs} ms; ${open} of ${callers.length} streams stayed open, ${wrong} calls or streams ended by mistake`,
    bound: `0 succeed after ${boundMs} ms, streams end, nothing else does`,
    holds: late === 0 && open === 0 && wrong === 0,
  };
}

export const accountsRevoked = (length: Length): Promise<Figure> =>
  revocations("AU2", length, "watched");

/** The same where the store has no watch, and is read again and again. */
export const revokedWithoutWatch = (length: Length): Promise<Figure> =>
  revocations("AU2-polled", length, "polled");

/** What the recipe finds where nothing is revoked: it must break. */
export async function nothingRevoked(length: Length): Promise<Figure> {
  const figure = await revocations("AU2-planted", length, "watched", true);
  return { ...figure, bound: "calls and streams go on, which AU2 notices", holds: !figure.holds };
}

/** Writes the identity of the servers, and the authority; returns the identity of a client. */
function issueCertificates(folder: string): TlsIdentity & { readonly ca: string } {
  using authority = new TestAuthority();
  const { ca } = authority;
  const { key, cert } = authority.issue({ names: ["IP:127.0.0.1"] });
  const files = { "server.key": key, "server.pem": cert, "ca.pem": ca };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  return { ...authority.issue({ names: [`URI:${spiffe.id}`] }), ca };
}

/** The ways to a server, natively and by gRPC. */
function routesTo(address: string): readonly ((identity: TlsIdentity) => Route)[] {
  return [
    (identity) => ({ transport: tcpTransport({ tls: { client: { identity } } }), address }),
    (identity) => ({
      transport: httpTransport({ tls: { client: { identity } } }),
      address: `https://${address}`,
    }),
  ];
}

/** Whether the account of a caller has lost its access, or has none to lose. */
function hasEnded({ kind, caller }: { readonly kind: Kind; readonly caller: Caller }): boolean {
  const last = caller.succeeded.at(-1) ?? 0;
  return kind === "none" || (caller.streamEnd !== undefined && performance.now() - last > 2_000);
}

async function startServers(backend: ServerBackend) {
  const all: GuardedServer[] = [];
  const close = () => Promise.all(all.map((server) => server[Symbol.asyncDispose]()));
  try {
    while (all.length < serverCount) all.push(await startGuarded(backend));
  } catch (reason) {
    await close();
    throw reason;
  }
  return { all, [Symbol.asyncDispose]: async () => void (await close()) };
}

async function issueAll(
  auth: LocalAuth,
  rules: ReturnType<typeof storeRules>,
): Promise<Readonly<Record<Kind, Issued>>> {
  const { id: account, issuer } = spiffe;
  await rules.grant({ id: "g1", issuer, account, scopes: ["documents.write"] });
  const issued: Partial<Record<Kind, Issued>> = {
    certificate: { token: undefined, claims: { jti: "" } },
  };
  // The first key signs one token alone, and then another one takes its place.
  for (const kind of ["key", ...kinds.filter((it) => it !== "key")] as const) {
    if (kind === "certificate") continue;
    const { secret } = await auth.generate(kind, { type: "user", scopes: ["documents.write"] });
    const { accessToken: token } = await auth.token({ grant: "secret", id: kind, secret });
    const payload = Buffer.from(token.split(".")[1] ?? "", "base64url").toString();
    issued[kind] = { token, claims: JSON.parse(payload) };
    if (kind !== "key") continue;
    const { id } = await auth.rotate();
    await until(() => auth.keys().some((key) => key.id === id && key.state === "active"), 30_000);
  }
  return issued as Record<Kind, Issued>;
}

async function revoke(
  kind: Kind,
  { claims }: Issued,
  auth: LocalAuth,
  rules: ReturnType<typeof storeRules>,
): Promise<void> {
  switch (kind) {
    case "token":
      return auth.revoke({ jti: claims.jti });
    case "account":
      return auth.revoke({ account: kind });
    case "family":
      return auth.revoke({ refreshFamily: claims.sid ?? "" });
    case "key": {
      const old = auth.keys().find(({ state }) => state === "retiring");
      await auth.removeKey(old?.id ?? "");
      return;
    }
    case "rule":
    case "certificate":
      return rules.grant({
        id: `deny-${kind}`,
        access: "denied",
        priority: 0,
        resource: { type: "method", name: "*" },
        subject: { account: kind === "rule" ? kind : spiffe.id },
      });
    case "none":
      return;
  }
}

function judge(kind: Kind, caller: Caller, at: number, boundMs: number) {
  const { succeeded, failed, streamEnd } = caller;
  if (kind === "none") {
    const wrong = failed.length + (streamEnd === undefined ? 0 : 1);
    return { late: 0, open: 0, wrong, latestMs: 0 };
  }
  const code = kind === "rule" || kind === "certificate" ? "permission_denied" : "unauthenticated";
  const isRight = (it: { readonly at: number; readonly code: string }) =>
    it.code === code && it.at > at - 5_000;
  const ends = failed.map((it) => ({ at: it.sentAt, code: it.code }));
  const closed = streamEnd !== undefined && streamEnd.at <= at + boundMs;
  return {
    late: succeeded.filter((sentAt) => sentAt > at + boundMs).length,
    open: closed ? 0 : 1,
    wrong: [...ends, ...(streamEnd === undefined ? [] : [streamEnd])].filter((it) => !isRight(it))
      .length,
    latestMs: Math.max(0, ...succeeded.map((sentAt) => sentAt - at)),
  };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
