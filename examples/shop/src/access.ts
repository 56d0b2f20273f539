import { join } from "node:path";
import type { CredentialSource } from "@micro-es/runtime";
import { type Auth, fileToken, jwtAuth } from "@micro-es/runtime/auth";

/** Where `issuer.ts` puts the keys of the shop's issuer, and a token for each program. */
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
