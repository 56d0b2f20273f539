import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { memoryStore, silentLogger } from "@micro-es/runtime";
import { localAuth } from "@micro-es/runtime/auth";
import { shop } from "./access.ts";

/** The programs that call others, with their scopes. Services that only serve need no account. */
const accounts: Readonly<Record<string, readonly string[]>> = {
  orders: ["stock.reserve"],
  customer: ["orders.place", "orders.read", "mail.read"],
};

/** A folder with the public keys of an issuer, and a token of each account. */
export interface IssuedAccess extends AsyncDisposable {
  readonly folder: string;
}

/** Creates the accounts of the shop for one run, and issues their tokens. */
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
  return {
    folder,
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  };
}
