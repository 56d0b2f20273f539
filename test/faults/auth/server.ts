import { natsStore } from "@micro-es/nats";
import { createService, memoryBroker, memoryRegistry } from "@micro-es/runtime";
import { localAuth, storeRules } from "@micro-es/runtime/auth";
import { registerGuardedServiceHandler } from "../../gen/micro/test/v1/guarded_micro.ts";
import { guardedHandler } from "./guarded-handler.ts";

/*
 * A service that requires accounts, with auth and rules in the NATS bucket of its arguments: the
 * servers, the bucket, and a folder for what is kept, or "" for none. Tells its address, and how
 * long its start took.
 */
const [servers = "", bucket = "", kept = ""] = process.argv.slice(2);
const store = natsStore({ servers, bucket });
const keptIn = (name: string) => (kept === "" ? {} : { lastKnownGood: `${kept}/${name}.json` });
const auth = localAuth({ store, issuer: "acme", ...keptIn("keys") });
const rules = storeRules({ store, ...keptIn("rules") });
const service = createService({
  name: "guarded",
  registry: memoryRegistry(),
  broker: memoryBroker(),
  auth,
  access: { rules },
});
registerGuardedServiceHandler(service.server, guardedHandler());
const began = performance.now();
await service.start();
process.send?.({
  listening: { address: service.server.addresses[0], readyMs: performance.now() - began },
});
process.once("message", async () => {
  await service.stop();
  await Promise.all([auth.close(), rules.close()]);
  await store.close();
  process.disconnect();
});
