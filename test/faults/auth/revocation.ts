import { setTimeout as sleep } from "node:timers/promises";
import { natsStore } from "@micro-es/nats";
import { silentLogger } from "@micro-es/runtime";
import { type LocalAuth, localAuth, storeRules } from "@micro-es/runtime/auth";
import { startNats } from "../../../drivers/nats/test/server.ts";
import type { Figure, Length } from "../figure.ts";
import { until } from "../until.ts";
import { Caller } from "./caller.ts";
import { type GuardedServer, type ServerBackend, startGuarded } from "./servers.ts";

/** The ways to end what a token is good for, and one that nothing ends. */
const kinds = ["token", "account", "family", "key", "rule", "none"] as const;
type Kind = (typeof kinds)[number];

/** The longest time in which a revocation takes effect, in milliseconds. */
const boundMs = 1_000;
const serverCount = 5;
const refreshMs = 100;

interface Issued {
  readonly token: string;
  readonly claims: { readonly jti: string; readonly sid?: string };
}

/**
 * Tokens are revoked in five ways while five processes are called with them: no call that is sent a
 * second later succeeds, every stream has ended by then, and a token that is not revoked works on.
 *
 * @param planted revokes without the store, so that no process can know of it
 */
async function revocations(length: Length, planted: boolean): Promise<Figure> {
  await using nats = await startNats();
  const backend = { servers: nats.url, bucket: "auth" };
  await using store = natsStore(backend);
  await using auth = localAuth({ store, issuer: "acme", refreshMs, logger: silentLogger });
  await using rules = storeRules({ store, logger: silentLogger });
  const tokens = await issueAll(auth);
  await using servers = await startServers(backend);
  // A hundred calls a second to each process, by all tokens together.
  const everyMs = 10 * kinds.length;
  const callers = kinds.flatMap((kind) =>
    servers.all.map(({ address }) => ({
      kind,
      caller: new Caller(address, tokens[kind].token, everyMs),
    })),
  );
  const revokedAt = new Map<Kind, number>();
  try {
    const isWorking = () => callers.every(({ caller }) => caller.succeeded.length > 0);
    if ((await until(isWorking, 20_000)) === Number.POSITIVE_INFINITY) {
      throw new Error("the calls do not succeed at first");
    }
    for (const kind of kinds) {
      await sleep(length === "long" ? 2_000 : 200);
      if (!planted) await revoke(kind, tokens[kind], auth, rules);
      revokedAt.set(kind, performance.now());
    }
    await sleep(boundMs + (length === "long" ? 10_000 : 500));
  } finally {
    await Promise.all(callers.map(({ caller }) => caller[Symbol.asyncDispose]()));
  }
  const judged = callers.map(({ kind, caller }) => judge(kind, caller, revokedAt.get(kind)!));
  const late = sum(judged.map((it) => it.late));
  const open = sum(judged.map((it) => it.open));
  const wrong = sum(judged.map((it) => it.wrong));
  const calls = sum(callers.map(({ caller }) => caller.succeeded.length + caller.failed.length));
  const latestMs = Math.round(Math.max(...judged.map((it) => it.latestMs)));
  return {
    id: planted ? "AU2-planted" : "AU2",
    recipe: `${serverCount} processes called with ${kinds.length} tokens each; revoked by token, account, family, key and rule, on NATS`,
    found: `${calls} calls, ${late} succeeded later than ${boundMs} ms, the last after ${latestMs} ms; ${open} streams stayed open, ${wrong} calls or streams ended by mistake`,
    bound: `0 succeed after ${boundMs} ms, streams end, nothing else does`,
    holds: late === 0 && open === 0 && wrong === 0,
  };
}

export const tokensRevoked = (length: Length): Promise<Figure> => revocations(length, false);

/** What the recipe finds where nothing is revoked: it must break. */
export async function nothingRevoked(length: Length): Promise<Figure> {
  const figure = await revocations(length, true);
  return { ...figure, bound: "calls and streams go on, which AU2 notices", holds: !figure.holds };
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

async function issueAll(auth: LocalAuth): Promise<Readonly<Record<Kind, Issued>>> {
  const issued: Partial<Record<Kind, Issued>> = {};
  // The first key signs one token alone, and then another one takes its place.
  for (const kind of ["key", ...kinds.filter((it) => it !== "key")] as const) {
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
      return rules.grant({
        id: "r1",
        access: "denied",
        priority: 0,
        resource: { type: "method", name: "*" },
        subject: { account: kind },
      });
    case "none":
      return;
  }
}

function judge(kind: Kind, { succeeded, failed, streamEnd }: Caller, at: number) {
  if (kind === "none") {
    const wrong = failed.length + (streamEnd === undefined ? 0 : 1);
    return { late: 0, open: 0, wrong, latestMs: 0 };
  }
  const code = kind === "rule" ? "permission_denied" : "unauthenticated";
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
