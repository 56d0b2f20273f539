import { generateKeyPairSync } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { memoryStore, silentLogger } from "@micro-es/runtime";
import { localAuth } from "@micro-es/runtime/auth";
import { type Publisher, publishers, shop } from "./access.ts";

/** The programs that call others, with their scopes. Services that only serve need no account. */
const accounts: Readonly<Record<string, readonly string[]>> = {
  orders: ["stock.reserve"],
  customer: ["orders.place", "orders.read", "mail.read"],
};

/** A folder with the public keys of an issuer, a token of each account, and keys of publishers. */
export interface IssuedAccess extends AsyncDisposable {
  readonly folder: string;
}

/** Creates the accounts of the shop for one run, their tokens, and the keys that sign events. */
export async function issueAccess(): Promise<IssuedAccess> {
  const folder = await mkdtemp(join(tmpdir(), "shop-access-"));
  const write = (name: string, text: string) =>
    writeFile(join(folder, name), text, { mode: 0o600 });
  await using store = memoryStore();
  await using auth = localAuth({ store, issuer: shop, logger: silentLogger });
  for (const [id, scopes] of Object.entries(accounts)) {
    const { secret } = await auth.generate(id, { scopes });
    const { accessToken } = await auth.token({ grant: "secret", id, secret });
    await write(`${id}.token`, accessToken);
  }
  await write("keys.json", JSON.stringify(auth.keySet()));
  for (const publisher of publishers) await writeEventKeys(publisher, write);
  return {
    folder,
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  };
}

/** A private key, which only the publisher needs, and the set that its subscribers read. */
async function writeEventKeys(
  publisher: Publisher,
  write: (name: string, text: string) => Promise<void>,
): Promise<void> {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const pem = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  const jwk = { ...publicKey.export({ format: "jwk" }), kid: publisher, use: "sig" };
  await write(`${publisher}.pem`, pem);
  await write(`${publisher}.json`, JSON.stringify({ keys: [jwk] }));
}
