import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { CredentialSource } from "@micro-es/runtime";
import {
  type Auth,
  type EventsOptions,
  fileToken,
  jwtAuth,
  publishedEventKeys,
} from "@micro-es/runtime/auth";

/** Where `issuer.ts` puts the keys of issuer and publishers, and a token for each program. */
const folder = process.env.SHOP_ACCESS ?? "access";

/** The name of the issuer, and of those that its tokens are for. */
export const shop = "shop";

/** Verifies the callers of a service. */
export function shopAuth(): Auth {
  return jwtAuth({ issuer: shop, audience: shop, jwks: join(folder, "keys.json") });
}

/** The services that the tokens are for; the nodes of the fleet are called `shop`. */
const services = ["orders", "stock", "mail", "shop"];

/** The token that a program presents. */
export function tokenOf(program: string): CredentialSource {
  return fileToken(join(folder, `${program}.token`), { services });
}

/** The services that publish events. */
export const publishers = ["orders", "stock"] as const;
export type Publisher = (typeof publishers)[number];

/** Signs the events of a service that publishes, and accepts those of the publishers only. */
export function shopEvents(publisher?: Publisher): EventsOptions {
  const keySource = publishedEventKeys({
    publishers: publishers.map((account) => ({
      issuer: shop,
      account,
      jwks: join(folder, `${account}.json`),
    })),
  });
  if (publisher === undefined) return { verify: "required", keySource };
  const key = readFileSync(join(folder, `${publisher}.pem`), "utf8");
  const sign = { issuer: shop, account: publisher, keyId: publisher, key };
  return { sign, verify: "required", keySource };
}
