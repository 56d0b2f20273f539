import { createPrivateKey, createPublicKey } from "node:crypto";
import { createClient, memoryRegistry, tcpTransport } from "@micro-es/runtime";
import { createGuardedServiceClient } from "../../gen/micro/test/v1/guarded_micro.ts";
import { TokenIssuer } from "../../support/token-issuer.ts";

/*
 * Calls a server with a new valid token in each call: its address, and the issuer, the audience,
 * the id of the key and its PEM. A message is how many calls to make; `called` tells how many of
 * them failed, and the first error.
 */
const [address = "", iss = "", audience = "", kid = "", pem = ""] = process.argv.slice(2);
const issuer = new TokenIssuer(iss, audience);
const privateKey = createPrivateKey(pem);
const publicKey = createPublicKey(privateKey);
const key = { kid, algorithm: "EdDSA", privateKey, publicKey, jwk: {} } as const;
const claims = { scope: "documents.write" };

const connections = Array.from({ length: 8 }, () => {
  const client = createClient({ registry: memoryRegistry(), transports: [tcpTransport()] });
  return createGuardedServiceClient(client);
});
process.send?.({ ready: true });
process.on("message", (message) => void callTimes(Number(message)));
process.once("disconnect", () => process.exit());

async function callTimes(count: number): Promise<void> {
  let left = count;
  const errors: string[] = [];
  const work = async (guarded: (typeof connections)[number]): Promise<void> => {
    while (left-- > 0) {
      const metadata = { authorization: `Bearer ${issuer.token({ key, claims })}` };
      try {
        await guarded.delete({ document: "a" }, { address, metadata, timeoutMs: 20_000 });
      } catch (reason) {
        errors.push(String(reason));
      }
    }
  };
  // Few enough for each connection not to exceed its share.
  await Promise.all(connections.flatMap((each) => Array.from({ length: 32 }, () => work(each))));
  process.send?.({ called: { failed: errors.length, error: errors[0] } });
}
