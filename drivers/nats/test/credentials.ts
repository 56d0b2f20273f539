import { createHash } from "node:crypto";
import { nkeys } from "nats";

type KeyPair = ReturnType<typeof nkeys.createUser>;

/** What a server is configured with, and what a user of it shows. */
export interface Issued {
  /** Lines of the server's configuration: an operator, and its accounts in memory. */
  readonly config: string;
  /** A `.creds` file. */
  readonly credentials: string;
}

const unlimited = {
  subs: -1,
  data: -1,
  payload: -1,
  imports: -1,
  exports: -1,
  wildcards: true,
  conn: -1,
  leaf: -1,
};
const jetstream = { mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 };

/** Makes an operator, an account with JetStream, and a user of it, as NATS' tool `nsc` does. */
export function issueCredentials(): Issued {
  const operator = nkeys.createOperator();
  const account = nkeys.createAccount();
  const system = nkeys.createAccount();
  const user = nkeys.createUser();
  const operatorToken = sign(operator, operator, "operator", { type: "operator" });
  const limits = { ...unlimited, ...jetstream };
  const accountToken = sign(operator, account, "fleet", { type: "account", limits });
  const systemToken = sign(operator, system, "system", { type: "account", limits: unlimited });
  const userToken = sign(account, user, "ada", {
    type: "user",
    subs: -1,
    data: -1,
    payload: -1,
    pub: {},
    sub: {},
  });
  return {
    config: [
      `operator: ${operatorToken}`,
      "resolver: MEMORY",
      `system_account: ${system.getPublicKey()}`,
      "resolver_preload: {",
      `  ${account.getPublicKey()}: ${accountToken}`,
      `  ${system.getPublicKey()}: ${systemToken}`,
      "}",
    ].join("\n"),
    credentials: [
      "-----BEGIN NATS USER JWT-----",
      userToken,
      "------END NATS USER JWT------",
      "",
      "-----BEGIN USER NKEY SEED-----",
      new TextDecoder().decode(user.getSeed()),
      "------END USER NKEY SEED------",
      "",
    ].join("\n"),
  };
}

/** A token in which one key vouches for another. */
function sign(issuer: KeyPair, subject: KeyPair, name: string, nats: object): string {
  const body = {
    iat: Math.floor(Date.now() / 1000),
    iss: issuer.getPublicKey(),
    name,
    sub: subject.getPublicKey(),
    nats: { ...nats, version: 2 },
  };
  const id = createHash("sha256").update(JSON.stringify(body)).digest("hex");
  const signed = [
    { typ: "JWT", alg: "ed25519-nkey" },
    { jti: id, ...body },
  ]
    .map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"))
    .join(".");
  const signature = Buffer.from(issuer.sign(Buffer.from(signed))).toString("base64url");
  return `${signed}.${signature}`;
}
