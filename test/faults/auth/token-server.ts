import { type Account, createService, memoryBroker, memoryRegistry } from "@micro-es/runtime";
import type { Auth } from "@micro-es/runtime/auth";
import { jwtAuth } from "@micro-es/runtime/auth";
import { registerGuardedServiceHandler } from "../../gen/micro/test/v1/guarded_micro.ts";
import { guardedHandler } from "./guarded-handler.ts";

/*
 * A service that accepts the tokens of an issuer, with the keys at an address: the issuer, the
 * audience, the URL and how often it is read, in milliseconds; `leaky` after these keeps every
 * account and every refusal, which takes it long. Tells its address, and its memory and its
 * processor time when asked.
 */
const [issuer = "", audience = "", jwks = "", refreshMs = "", fault = ""] = process.argv.slice(2);
const auth = jwtAuth({ issuer, audience, jwks, refreshMs: Number(refreshMs) });
/** The accounts that have not been collected as garbage. */
const alive = new Set<WeakRef<Account>>();
/** With so many references, those to collected accounts are dropped. */
let maxRefs = 50_000;
const leaked: unknown[] = [];
const service = createService({
  name: "guarded",
  registry: memoryRegistry(),
  broker: memoryBroker(),
  auth: observed(auth),
});
registerGuardedServiceHandler(service.server, guardedHandler());
await service.start();
process.send?.({ listening: { address: service.server.addresses[0] } });
process.on("message", (message) => {
  if (message === "memory") void tellMemory();
  else {
    const { user, system } = process.cpuUsage();
    process.send?.({ cpuUs: user + system });
  }
});
process.once("disconnect", () => process.exit());

function observed(inner: Auth): Auth {
  return new Proxy(inner, {
    get(target, name) {
      if (name === "inspect") return (...of: Parameters<Auth["inspect"]>) => inspect(target, of);
      const value = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

async function inspect(target: Auth, of: Parameters<Auth["inspect"]>) {
  try {
    const account = await target.inspect(...of);
    if (account !== undefined) alive.add(new WeakRef(account));
    if (alive.size > maxRefs) forgetCollected();
    if (fault === "leaky") leaked.push(account);
    return account;
  } catch (reason) {
    if (fault === "leaky") keepSlowly(reason);
    throw reason;
  }
}

function keepSlowly(reason: unknown): void {
  leaked.push(reason);
  for (const began = performance.now(); performance.now() - began < 200; );
}

function forgetCollected(): void {
  for (const ref of alive) if (ref.deref() === undefined) alive.delete(ref);
  maxRefs = Math.max(50_000, 2 * alive.size);
}

async function tellMemory(): Promise<void> {
  // Objects that are held weakly may be collected in a later turn only.
  for (let i = 0; i < 3; i++) {
    globalThis.gc?.();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  forgetCollected();
  const { heapUsed, external } = process.memoryUsage();
  const usedMiB = (heapUsed + external) / 2 ** 20;
  process.send?.({ memory: { usedMiB, accounts: alive.size } });
}
