import { X509Certificate } from "node:crypto";
import { inspect } from "node:util";
import {
  type ClientTlsOptions,
  createClient,
  createServer,
  goMicroTransport,
  httpTransport,
  MemoryRegistryNetwork,
  memoryRegistry,
  type ServerTlsOptions,
  silentLogger,
  type Transport,
  tcpTransport,
} from "@micro-es/runtime";
import { certificateAuth, staticRules } from "@micro-es/runtime/auth";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { PeerCertificate } from "../../runtime/src/call/call.ts";
import { answering, outgoing } from "../contract/transport-fixture.ts";
import { type IssuedIdentity, TestAuthority } from "../support/certificates.ts";
import { type EchoMethod, echo } from "../support/echo.ts";
import { errorOf } from "../support/server.ts";

const order = "spiffe://acme.example/order";
let authority: TestAuthority;
let stranger: TestAuthority;
let server: IssuedIdentity;
const open: { close(): unknown }[] = [];

beforeAll(() => {
  authority = new TestAuthority();
  stranger = new TestAuthority();
  server = authority.issue({ names: ["IP:127.0.0.1", "URI:spiffe://acme.example/echo"] });
});
afterAll(() => {
  authority[Symbol.dispose]();
  stranger[Symbol.dispose]();
});
afterEach(async () => {
  for (const it of open.splice(0).reverse()) await it.close();
});

const scoped: EchoMethod = {
  ...echo.echo,
  name: "micro.test.v1.EchoService/Echo",
  auth: { scopes: ["echo.write"] },
};
const openToAll: EchoMethod = {
  ...echo.once,
  name: "micro.test.v1.EchoService/Once",
  auth: { public: true },
};

/** Starts a server with auth by certificate; `order` has the scope that a method needs. */
async function serve(tls: Partial<ServerTlsOptions>): Promise<string> {
  const registry = memoryRegistry({ network: new MemoryRegistryNetwork() });
  const made = createServer({
    name: "echo",
    registry,
    logger: silentLogger,
    environment: { MICRO_BROKER: "memory", MICRO_DRAIN_DELAY: "0ms" },
    listen: [
      {
        transport: tcpTransport({ tls: { server: { identity: server, ...tls } } }),
        address: "127.0.0.1:0",
      },
    ],
    auth: certificateAuth({ bundles: { "acme.example": authority.ca } }),
    access: {
      rules: staticRules([
        {
          ...{ id: "order", issuer: "spiffe://acme.example", account: order },
          scopes: ["echo.write"],
        },
      ]),
    },
  });
  made.unary(scoped, (_, context) => ({ text: context.account?.id ?? "no account" }));
  made.unary(openToAll, (_, context) => ({ text: context.account?.id ?? "no account" }));
  await made.start();
  open.push(made, registry);
  return made.addresses[0] ?? "";
}

const ways: Record<string, (client: ClientTlsOptions, address: string) => [Transport, string]> = {
  native: (client, address) => [tcpTransport({ tls: { client } }), address],
  "gRPC over HTTP/2": (client, address) => [
    httpTransport({ tls: { client } }),
    `https://${address}`,
  ],
  "Connect over HTTP/1.1": (client, address) => [
    httpTransport({ protocol: "connect", httpVersion: "1.1", tls: { client } }),
    `https://${address}`,
  ],
  "go-micro": (client, address) => [goMicroTransport({ tls: { client } }), address],
};

describe.each(Object.entries(ways))("by %s", (_, way) => {
  function call(address: string, identity: IssuedIdentity | undefined, method: EchoMethod) {
    const tls: ClientTlsOptions = {
      identity: { ca: authority.ca, ...(identity && { key: identity.key, cert: identity.cert }) },
    };
    const [transport, to] = way(tls, address);
    const client = createClient({ transports: [transport], logger: silentLogger });
    open.push(client);
    return client.unary(method, {}, { address: to, retry: false });
  }

  test("a certificate is the account of its connection; its issuers are verified by the bundle", async () => {
    const address = await serve({ clientCertificate: "optional" });
    const known = authority.issue({ names: [`URI:${order}`] });
    expect(await call(address, known, scoped)).toMatchObject({ text: order });
    const other = authority.issue({ names: ["URI:spiffe://acme.example/other"] });
    expect(await errorOf(call(address, other, scoped))).toMatchObject({
      code: "permission_denied",
      message: expect.not.stringContaining("echo.write"),
    });
    expect(await call(address, undefined, openToAll)).toMatchObject({ text: "no account" });
    expect((await errorOf(call(address, undefined, scoped))).code).toBe("unauthenticated");
    for (const foreign of [
      stranger.issue({ names: [`URI:${order}`] }),
      authority.issue({ names: [`URI:${order}`, "URI:spiffe://acme.example/admin"] }),
    ]) {
      for (const method of [scoped, openToAll]) {
        const error = await errorOf(call(address, foreign, method));
        expect(error).toMatchObject({ code: "unauthenticated", outcome: "not-executed" });
        expect(error.message).toContain("the call needs a valid credential");
      }
    }
  });

  test("required means that no connection without one is accepted", async () => {
    const address = await serve({ clientCertificate: "required" });
    const known = authority.issue({ names: [`URI:${order}`] });
    expect(await call(address, known, scoped)).toMatchObject({ text: order });
    expect((await errorOf(call(address, undefined, openToAll))).code).toBe("unavailable");
  });

  test("with ca, the handshake verifies the issuers too", async () => {
    const address = await serve({
      clientCertificate: "optional",
      identity: { ...server, ca: authority.ca },
    });
    const known = authority.issue({ names: [`URI:${order}`] });
    expect(await call(address, known, scoped)).toMatchObject({ text: order });
    expect(await call(address, undefined, openToAll)).toMatchObject({ text: "no account" });
    const foreign = stranger.issue({ names: [`URI:${order}`] });
    expect((await errorOf(call(address, foreign, openToAll))).code).toBe("unavailable");
  });
});

test.each(Object.entries(ways))(
  "a server sees the certificate of a connection: %s",
  async (_, way) => {
    const seen: (PeerCertificate | undefined)[] = [];
    const dispatcher = answering({
      unary: (_request, { peer }) => {
        seen.push(peer.certificate);
        expect(inspect(peer, { depth: 5 })).not.toContain("fingerprint");
        return {};
      },
    });
    const tls = { server: { identity: server, clientCertificate: "optional" } } as const;
    const listener = await tcpTransport({ tls }).listen("127.0.0.1:0", dispatcher);
    open.push(listener);
    const { key, cert } = authority.issue({ names: [`URI:${order}`] });
    for (const own of [{ key, cert }, {}]) {
      const channel = await dial(way({ identity: { ca: authority.ca, ...own } }, listener.address));
      await channel.unary(echo.echo, {}, outgoing());
      await channel.unary(echo.echo, {}, outgoing());
    }
    const { raw, fingerprint256 } = new X509Certificate(cert);
    const fingerprint = Buffer.from(fingerprint256.replaceAll(":", ""), "hex").toString(
      "base64url",
    );
    expect(seen).toHaveLength(4);
    for (const certificate of seen.slice(0, 2)) {
      expect(certificate?.fingerprint).toBe(fingerprint);
      expect(Buffer.from(certificate?.chain[0] ?? []).equals(raw)).toBe(true);
    }
    expect(seen.slice(2)).toEqual([undefined, undefined]);
  },
);

async function dial([transport, address]: [Transport, string]) {
  const channel = await transport.dial(address);
  open.push(channel);
  return channel;
}

test("a connection ends with its certificate, also where only the bundle verifies it", async () => {
  const address = await serve({ clientCertificate: "required" });
  const short = authority.issue({ names: [`URI:${order}`], seconds: 6 });
  const tls = { client: { identity: { ca: authority.ca, key: short.key, cert: short.cert } } };
  const channel = await tcpTransport({ tls }).dial(address);
  open.push(channel);
  expect(await channel.closed).toMatchObject({ code: "unavailable" });
});

test("options that contradict each other are refused", async () => {
  const error = await errorOf(
    serve({ clientCertificate: "optional", requireClientCertificate: true }),
  );
  expect(error.message).toContain("remove the latter");
});
