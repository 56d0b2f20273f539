import { readFileSync } from "node:fs";
import { join } from "node:path";
import { natsStore } from "@micro-es/nats";
import {
  createService,
  memoryBroker,
  memoryRegistry,
  type Store,
  tcpTransport,
} from "@micro-es/runtime";
import { anyAuth, certificateAuth, localAuth, storeRules } from "@micro-es/runtime/auth";
import { registerGuardedServiceHandler } from "../../gen/micro/test/v1/guarded_micro.ts";
import { guardedHandler } from "./guarded-handler.ts";
import type { ServerBackend } from "./servers.ts";

/*
 * A service that requires accounts, with auth and rules in the NATS bucket of its argument. Tells
 * its address, and how long its start took.
 */
const backend = JSON.parse(process.argv[2] ?? "") as ServerBackend;
const { servers, bucket, kept, certificates } = backend;
const store = natsStore({ servers, bucket });
const followed = backend.polled === true ? unwatched(store) : store;
const keptIn = (name: string) => kept && { lastKnownGood: join(kept, `${name}.json`) };
const local = localAuth({ store: followed, issuer: "acme", ...keptIn("keys") });
const rules = storeRules({ store: followed, ...keptIn("rules") });
const pem = (name: string) => readFileSync(join(certificates ?? "", name), "utf8");
const secure = certificates && {
  auth: anyAuth([local, certificateAuth({ bundles: { "acme.example": pem("ca.pem") } })]),
  transports: [
    tcpTransport({
      tls: {
        server: {
          identity: { key: pem("server.key"), cert: pem("server.pem") },
          clientCertificate: "optional",
        },
      },
    }),
  ],
};
const service = createService({
  name: "guarded",
  registry: memoryRegistry(),
  broker: memoryBroker(),
  auth: local,
  access: { rules },
  ...secure,
});
registerGuardedServiceHandler(service.server, guardedHandler());
const began = performance.now();
await service.start();
process.send?.({
  listening: { address: service.server.addresses[0], readyMs: performance.now() - began },
});
process.once("message", async () => {
  await service.stop();
  await Promise.all([local.close(), rules.close()]);
  await store.close();
  process.disconnect();
});

/** The store, as one that cannot be watched. */
function unwatched(store: Store): Store {
  return new Proxy(store, {
    get(target, name) {
      if (name === "guarantees") return { ...target.guarantees, watch: false };
      const value = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
