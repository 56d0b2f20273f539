import { natsStore } from "@micro-es/nats";
import { asMicroError, createClient, memoryRegistry, silentLogger } from "@micro-es/runtime";
import { localAuth, storeRules } from "@micro-es/runtime/auth";
import { startNats } from "../../../drivers/nats/test/server.ts";
import { createGuardedServiceClient } from "../../gen/micro/test/v1/guarded_micro.ts";
import type { Figure } from "../figure.ts";
import { scratchDirectory } from "../scratch.ts";
import { until } from "../until.ts";
import { startGuarded } from "./servers.ts";

/** The longest start without the store, in milliseconds. */
const boundMs = 2_000;

/**
 * A service starts while the store with its keys and rules is down: with what an earlier process
 * has kept it accepts tokens; without, it refuses all and says so. Both follow the store once it is
 * back.
 */
export async function startsWithoutStore(): Promise<Figure> {
  await using nats = await startNats();
  using scratch = scratchDirectory();
  const backend = { servers: nats.url, bucket: "auth" };
  const token = await issueAndGrant(backend);
  const before = await startGuarded({ ...backend, kept: scratch.path });
  await before.stop();
  await nats.stop("SIGKILL");
  await using withKept = await startGuarded({ ...backend, kept: scratch.path });
  await using without = await startGuarded(backend);
  await using client = createClient({ registry: memoryRegistry() });
  const guarded = createGuardedServiceClient(client);
  const ask = async (address: string) => {
    const metadata = { authorization: `Bearer ${token}` };
    try {
      await guarded.delete({ document: "a" }, { address, metadata, timeoutMs: 5_000 });
      return "ok";
    } catch (reason) {
      return asMicroError(reason).code;
    }
  };
  const codes = [await ask(withKept.address), await ask(without.address)];
  const saysSo =
    /no token is accepted/.test(without.log) && /every access is denied/.test(without.log);
  await nats.start();
  const backMs = await until(async () => (await ask(without.address)) === "ok", 15_000, 50);
  const stillOk = (await ask(withKept.address)) === "ok";
  const readyMs = Math.round(Math.max(withKept.readyMs, without.readyMs));
  return {
    id: "AU8",
    recipe:
      "services start while NATS is down, with and without kept keys and rules; then it is back",
    found: `ready after ${readyMs} ms; responses ${codes.join(" and ")}; says so: ${saysSo}; works ${Math.round(backMs)} ms after the return`,
    bound: `ready in ${boundMs} ms; ok with what was kept, refused and said so without; then ok`,
    holds:
      readyMs <= boundMs &&
      codes[0] === "ok" &&
      codes[1] !== "ok" &&
      saysSo &&
      backMs < Number.POSITIVE_INFINITY &&
      stillOk,
  };
}

/** A token that only a rule lets in: the scope is granted to its account. */
async function issueAndGrant(backend: { servers: string; bucket: string }): Promise<string> {
  await using store = natsStore(backend);
  await using auth = localAuth({ store, issuer: "acme", logger: silentLogger });
  await using rules = storeRules({ store, logger: silentLogger });
  const { secret } = await auth.generate("order");
  await rules.grant({ id: "g1", issuer: "acme", account: "order", scopes: ["documents.write"] });
  return (await auth.token({ grant: "secret", id: "order", secret })).accessToken;
}
