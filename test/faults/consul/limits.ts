import { randomUUID } from "node:crypto";
import { consulRegistry, consulSync } from "@micro-es/consul";
import { asMicroError, type Node, type Registry } from "@micro-es/runtime";
import { ConsulAdmin } from "../../../drivers/consul/test/admin.ts";
import { consulVersion, startConsul } from "../../../drivers/consul/test/server.ts";
import { FaultProxy } from "../../support/proxy.ts";
import type { Figure, Length } from "../figure.ts";
import { until } from "../until.ts";
import { consulRecords } from "./records.ts";

/** Consul cuts off a client with more connections. */
const maxConnections = 200;
const noticedMs = 10_000;
/** Consul takes values of up to 512 KiB. */
const tooLong = 600 * 1024;

/**
 * More services are watched than a client may have connections, a value is longer than Consul
 * takes, and tokens have no rights or are not known. All parts work after it.
 */
export async function limitsReached(length: Length): Promise<Figure> {
  const services = length === "long" ? 1_000 : 250;
  const root = randomUUID();
  const tokenName = consulVersion?.startsWith("1.8.") ? "master" : "initial_management";
  await using server = await startConsul({
    settings: `acl { enabled = true default_policy = "deny" tokens { ${tokenName} = "${root}" agent = "${root}" } }`,
    token: root,
  });
  const admin = new ConsulAdmin(server.url, root);
  await using proxy = await FaultProxy.start(server.port);
  const options = { address: `http://127.0.0.1:${proxy.port}`, timeoutMs: 20_000 };
  const names = Array.from({ length: services }, (_, at) => `service-${at}`);
  await using registry = consulRegistry({ ...options, token: root });
  let most = 0;
  const watching = setInterval(() => {
    most = Math.max(most, proxy.openSince.length);
  }, 5);
  try {
    const first = await Promise.allSettled(names.map((name) => registry.get(name)));
    const refused = first.filter(({ status }) => status === "rejected").length;
    await admin.catalog("register", {});
    await admin.registerMany(
      names.map((name) => ({ ID: `${name}-1`, Service: name, Tags: ["v=1"], Port: 9 })),
    );
    const slowest = await until(async () => areKnown(registry, names), 60_000, 50);
    const found = await errors(options, admin, root);
    const wrong = Object.entries(expected).filter(([what, code]) => found[what] !== code);
    const healthy =
      registry.state === "healthy" && (await registry.get(names[0] ?? "")).length === 1;
    return {
      id: "L1",
      recipe: `${services} services watched by one process, a value of ${tooLong / 1024} KiB, tokens without rights`,
      found: `${refused} refused, on ${most} connections at most, changes of all known after ${Math.round(slowest)} ms; ${
        wrong.length === 0
          ? Object.entries(found)
              .map((each) => each.join(": "))
              .join(", ")
          : `unexpected: ${JSON.stringify(found)}`
      }; ${healthy ? "healthy" : "not healthy"} after it`,
      bound: `0 refused, fewer than ${maxConnections} connections, at most ${noticedMs} ms; typed errors, not executed; healthy after it`,
      holds:
        refused === 0 &&
        most < maxConnections &&
        slowest <= noticedMs &&
        wrong.length === 0 &&
        healthy,
    };
  } finally {
    clearInterval(watching);
  }
}

async function areKnown(registry: Registry, names: readonly string[]): Promise<boolean> {
  const found = await Promise.all(names.map((name) => registry.get(name)));
  return found.every((nodes) => nodes.length === 1);
}

const expected: Readonly<Record<string, string>> = {
  "a long value": "invalid_argument, not-executed",
  "a lock without the right": "permission_denied, not-executed",
  "a node without the right": "permission_denied, not-executed",
  "an unknown token": "permission_denied, not-executed",
};

/** The errors of what Consul refuses, by what was attempted. */
async function errors(
  options: { readonly address: string; readonly timeoutMs: number },
  admin: ConsulAdmin,
  root: string,
): Promise<Readonly<Record<string, string>>> {
  await admin.put("acl/policy", { Name: "reader", Rules: 'service_prefix "" { policy = "read" }' });
  const made = await admin.put("acl/token", { Policies: [{ Name: "reader" }] });
  const { SecretID: reader } = JSON.parse(made) as { readonly SecretID: string };
  await using records = consulRecords({ ...options, token: root });
  await using locks = consulSync({ ...options, token: reader });
  await using readers = consulRegistry({ ...options, token: reader });
  await using strangers = consulRegistry({ ...options, token: randomUUID() });
  return {
    "a long value": await errorOf(records.write("long", Buffer.alloc(tooLong, "x"))),
    "a lock without the right": await errorOf(locks.lock("work")),
    "a node without the right": await errorOf(readers.register(node)),
    "an unknown token": await errorOf(strangers.register(node)),
  };
}

const node: Node = {
  id: "refused-1",
  service: "refused",
  version: "1",
  address: "127.0.0.1:9",
  metadata: {},
  endpoints: [],
};

async function errorOf(attempt: Promise<unknown>): Promise<string> {
  return attempt.then(
    () => "no error",
    (reason: unknown) => {
      const { code, outcome } = asMicroError(reason);
      return `${code}, ${outcome}`;
    },
  );
}
