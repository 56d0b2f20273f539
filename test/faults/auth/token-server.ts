import { createService, memoryBroker, memoryRegistry } from "@micro-es/runtime";
import { jwtAuth } from "@micro-es/runtime/auth";
import { registerGuardedServiceHandler } from "../../gen/micro/test/v1/guarded_micro.ts";
import { guardedHandler } from "./guarded-handler.ts";

/*
 * A service that accepts the tokens of an issuer, with the keys at an address: the issuer, the
 * audience, the URL and how often it is read, in milliseconds. Tells its address.
 */
const [issuer = "", audience = "", jwks = "", refreshMs = ""] = process.argv.slice(2);
const auth = jwtAuth({ issuer, audience, jwks, refreshMs: Number(refreshMs) });
const service = createService({
  name: "guarded",
  registry: memoryRegistry(),
  broker: memoryBroker(),
  auth,
});
registerGuardedServiceHandler(service.server, guardedHandler());
await service.start();
process.send?.({ listening: { address: service.server.addresses[0] } });
process.once("disconnect", () => process.exit());
