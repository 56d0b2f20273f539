import { X509Certificate } from "node:crypto";
import {
  createClient,
  createServer,
  goMicroTransport,
  httpTransport,
  MemoryRegistryNetwork,
  memoryRegistry,
  silentLogger,
  type Transport,
  tcpTransport,
} from "@micro-es/runtime";
import { jwtAuth, staticToken } from "@micro-es/runtime/auth";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type IssuedIdentity, TestAuthority } from "../support/certificates.ts";
import { type EchoMethod, echo } from "../support/echo.ts";
import { errorOf } from "../support/server.ts";
import { TokenIssuer, thumbprint } from "../support/token-issuer.ts";

const issuer = new TokenIssuer("https://issuer.example", "echo");
const restricted: EchoMethod = { ...echo.echo, auth: {} };
let authority: TestAuthority;
let owner: IssuedIdentity;
let thief: IssuedIdentity;
const open: { close(): unknown }[] = [];

beforeAll(() => {
  authority = new TestAuthority();
  owner = authority.issue({ names: ["URI:spiffe://acme.example/order"] });
  thief = authority.issue({ names: ["URI:spiffe://acme.example/thief"] });
});
afterAll(() => authority[Symbol.dispose]());
afterEach(async () => {
  for (const it of open.splice(0).reverse()) await it.close();
});

async function serve(): Promise<string> {
  const registry = memoryRegistry({ network: new MemoryRegistryNetwork() });
  const identity = authority.issue({ names: ["IP:127.0.0.1"] });
  const transport = tcpTransport({
    tls: { server: { identity: { ...identity, ca: authority.ca }, clientCertificate: "optional" } },
  });
  const server = createServer({
    ...{ name: "echo", registry, logger: silentLogger },
    environment: { MICRO_BROKER: "memory", MICRO_DRAIN_DELAY: "0ms" },
    listen: [{ transport, address: "127.0.0.1:0" }],
    auth: jwtAuth({ issuer: issuer.issuer, audience: "echo", keys: issuer.jwks }),
  });
  server.unary(restricted, (_, { account }) => ({ text: `${account?.id} ${account?.provenBy}` }));
  await server.start();
  open.push(server, registry);
  return server.addresses[0] ?? "";
}

type Way = (identity: IssuedIdentity | undefined) => Transport;
const tls = (identity: IssuedIdentity | undefined) => ({
  client: {
    identity: { ca: authority.ca, ...(identity && { key: identity.key, cert: identity.cert }) },
  },
});
const ways: Record<string, readonly [Way, scheme: string]> = {
  native: [(identity) => tcpTransport({ tls: tls(identity) }), ""],
  "go-micro": [(identity) => goMicroTransport({ tls: tls(identity) }), ""],
  gRPC: [(identity) => httpTransport({ tls: tls(identity) }), "https://"],
  "gRPC-Web": [
    (identity) => httpTransport({ protocol: "grpc-web", tls: tls(identity) }),
    "https://",
  ],
  Connect: [(identity) => httpTransport({ protocol: "connect", tls: tls(identity) }), "https://"],
  "Connect over HTTP/1.1": [
    (identity) => httpTransport({ protocol: "connect", httpVersion: "1.1", tls: tls(identity) }),
    "https://",
  ],
};

test.each(Object.entries(ways))(
  "a token that is bound to a certificate proves nothing on another connection, by %s",
  async (_, [way, scheme]) => {
    const address = `${scheme}${await serve()}`;
    const bound = thumbprint(new X509Certificate(owner.cert).raw);
    const token = issuer.token({ claims: { cnf: { "x5t#S256": bound } } });
    const call = (identity: IssuedIdentity | undefined) => {
      const client = createClient({
        ...{ transports: [way(identity)], logger: silentLogger },
        credentials: staticToken(token, { services: "any" }),
        credentialPolicy: { allowPlaintext: ["127.0.0.1"] },
      });
      open.push(client);
      return client.unary(restricted, {}, { address, retry: false });
    };
    const refused = { code: "unauthenticated", outcome: "not-executed" };
    // First where nothing is known of the token, then where its account is.
    for (const round of [1, 2]) {
      expect(await errorOf(call(thief)), `round ${round}`).toMatchObject(refused);
      expect(await errorOf(call(undefined)), `round ${round}`).toMatchObject(refused);
      expect(await call(owner)).toEqual({
        ...(await call(owner)),
        text: "user:ada token+certificate",
      });
    }
  },
);
