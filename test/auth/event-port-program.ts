/** A service with auth that subscribes, as its argument says. */

import { generateKeyPairSync } from "node:crypto";
import { createService, httpBroker } from "@micro-es/runtime";
import { signedBroker } from "@micro-es/runtime/auth";
import { testAuth } from "@micro-es/runtime/testing";
import { registerGuardedServiceHandler } from "../gen/micro/test/v1/guarded_micro.ts";

export interface PortOptions {
  readonly verify?: "required" | "optional" | false;
  /** Whether it subscribes by itself once it runs, or has no subscription at all. */
  readonly subscribes?: "late" | "never";
  /** Whether its broker is passed, and verifies by itself. */
  readonly ownBroker?: true;
}

const { verify, subscribes, ownBroker } = JSON.parse(process.argv[2] ?? "{}") as PortOptions;
const { publicKey } = generateKeyPairSync("ed25519");
const keys = [{ issuer: "acme", account: "order", keyId: "1", key: publicKey }];
const verified = { verify: "required", keys } as const;
const events = verify ? { verify, keys } : verify === false ? { verify } : undefined;

const own = createService({ name: "own" });
const broker = httpBroker({ registry: own.registry, address: "0.0.0.0:0" });
const service = createService({
  name: "docs",
  auth: testAuth(),
  registry: own.registry,
  ...(events !== undefined && { events }),
  ...(ownBroker && { broker: signedBroker(broker, verified) }),
});
service.onReady(async () => {
  if (subscribes === "late") await service.broker.subscribe("documents.changed", () => {});
  const [node] = await service.registry.get("micro.http.broker");
  const url = node && `http://127.0.0.1:${node.address.split(":").at(-1)}/?id=${node.id}`;
  process.send?.({ ready: url ?? "no port" });
});
if (subscribes === undefined) {
  registerGuardedServiceHandler(service.server, {
    about: () => ({ text: "open" }),
    async *read() {},
    write: () => ({ lines: 0 }),
    async *edit() {},
    delete: () => ({}),
    onDocumentChanged({ document }) {
      process.send?.({ handled: document });
    },
  });
}
service.onStop(async () => {
  await broker.close();
  await own.close();
});
process.channel?.unref();
await service.run().catch(() => undefined);
