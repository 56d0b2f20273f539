import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  createClient,
  createServer,
  httpTransport,
  memoryRegistry,
  silentLogger,
  tcpTransport,
} from "@micro-es/runtime";
import { certificateAuth } from "@micro-es/runtime/auth";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type EchoMethod, echo } from "../support/echo.ts";
import { errorOf, recordingLogger } from "../support/server.ts";
import { type Authority, type CertificateRequest, caTools, type Issued } from "./ca-tools.ts";

/** `certificateAuth` with the certificates of the tools that authorities are run with, over TLS. */

const order = "spiffe://acme.example/order";
const method: EchoMethod = { ...echo.echo, name: "micro.test.v1.EchoService/Echo", auth: {} };

const missing = caTools.filter(({ fix }) => fix !== undefined);
for (const { name, fix, isOptional } of missing) {
  if (process.env.CI === "true" && !isOptional) throw new Error(`no ${name}: ${fix}`);
  console.warn(`SKIPPED, certificates of ${name}: ${fix}`);
}

describe.each(caTools.filter(({ fix }) => fix === undefined))("certificates of $name", (tool) => {
  const folders: string[] = [];
  const log = recordingLogger();
  let acme: Authority;
  let partner: Authority;
  let between: Authority;
  let address: string;
  let server: ReturnType<typeof createServer>;

  const root = (): Authority => {
    const folder = mkdtempSync(join(tmpdir(), "ca-tool-"));
    folders.push(folder);
    return tool.root(folder);
  };

  beforeAll(async () => {
    acme = root();
    partner = root();
    between = acme.between("between");
    const identity = acme.issue({ dns: ["localhost"], purposes: ["server"] });
    server = createServer({
      name: "echo",
      registry: memoryRegistry(),
      logger: log,
      environment: { MICRO_BROKER: "memory", MICRO_DRAIN_DELAY: "0ms" },
      listen: [
        {
          transport: tcpTransport({ tls: { server: { identity, clientCertificate: "required" } } }),
          address: "127.0.0.1:0",
        },
      ],
      auth: certificateAuth({
        bundles: { "acme.example": acme.cert, "partner.example": partner.cert },
      }),
    });
    server.unary(method, (_, context) => ({ text: context.account?.id ?? "no account" }));
    await server.start();
    address = server.addresses[0] ?? "";
    // The code for HTTP is loaded with the first connection, which takes long on a busy machine.
    await callAs(acme.issue({ uris: [order] }), 90_000);
  }, 100_000);
  afterAll(async () => {
    await server?.close();
    for (const folder of folders) rmSync(folder, { recursive: true });
  });

  /** Calls by the native protocol and by gRPC, and returns the account that the service saw. */
  async function callAs({ key, cert }: Issued, timeoutMs = 20_000): Promise<string> {
    const tls = { client: { identity: { key, cert, ca: acme.cert }, serverName: "localhost" } };
    const ids: string[] = [];
    for (const [transport, to] of [
      [tcpTransport({ tls }), address],
      [httpTransport({ tls }), `https://${address}`],
    ] as const) {
      await using client = createClient({ transports: [transport], logger: silentLogger });
      const options = { address: to, retry: false, timeoutMs } as const;
      const response = await client.unary(method, {}, options);
      ids.push((response as { text: string }).text);
    }
    expect(new Set(ids).size).toBe(1);
    return ids[0] ?? "";
  }

  test.each<[what: string, request: CertificateRequest]>([
    ["a SPIFFE id", { uris: [order] }],
    ["a SPIFFE id and both purposes, as SPIRE", { uris: [order], purposes: ["server", "client"] }],
    [
      "a SPIFFE id, a DNS name and one purpose",
      { uris: [order], dns: ["a"], purposes: ["client"] },
    ],
  ])("prove an account: %s, by the root and by an authority between", async (_, request) => {
    expect(await callAs(acme.issue(request))).toBe(order);
    expect(await callAs(between.issue(request))).toBe(order);
  });

  test("prove accounts of each domain by its own authority", async () => {
    const id = "spiffe://partner.example/order";
    expect(await callAs(partner.issue({ uris: [id] }))).toBe(id);
  });

  test.each<[what: string, issue: () => Issued, reason: RegExp]>([
    ["two URIs", () => acme.issue({ uris: [order, "spiffe://acme.example/admin"] }), /has 2 URIs/],
    ["no URI", () => acme.issue({ dns: ["order.acme.example"] }), /has 0 URIs/],
    [
      "a URI that is not a SPIFFE id",
      () => acme.issue({ uris: ["https://acme.example/order"] }),
      /not a SPIFFE id/,
    ],
    [
      "an authority in the place of a client",
      () => acme.issue({ uris: [order], isAuthority: true }),
      /one of an authority/,
    ],
    [
      "the purpose of servers alone",
      () => acme.issue({ uris: [order], purposes: ["server"] }),
      /not made for clients/,
    ],
    [
      "the domain of another authority's bundle",
      () => acme.issue({ uris: ["spiffe://partner.example/order"] }),
      /no authority of the trust domain's bundle/,
    ],
    [
      "a domain without a bundle",
      () => acme.issue({ uris: ["spiffe://other.example/order"] }),
      /other\.example/,
    ],
    [
      "a root that is not in the bundle",
      () => root().issue({ uris: [order] }),
      /no authority of the trust domain's bundle/,
    ],
    [
      "an issuer that is not sent",
      () => {
        const { key, cert } = between.issue({ uris: [order] });
        return { key, cert: cert.slice(0, cert.indexOf("-----END CERTIFICATE-----") + 26) };
      },
      /no authority of the trust domain's bundle/,
    ],
  ])("are refused with %s", async (_, issue, reason) => {
    const before = log.lines.length;
    const error = await errorOf(callAs(issue()));
    expect(error).toMatchObject({ code: "unauthenticated", outcome: "not-executed" });
    expect(JSON.stringify(log.lines.slice(before))).toMatch(reason);
  });

  test("are refused when they have expired, and their connections end", async () => {
    const before = log.lines.length;
    const expired = acme.issue({ uris: [order], hasExpired: true });
    const error = await errorOf(callAs(expired, 3_000));
    expect(error).toMatchObject({ code: "unavailable", outcome: "not-executed" });
    const reasons = log.lines.slice(before).map(({ fields }) => String(fields.error));
    expect(reasons).toContainEqual(expect.stringMatching(/certificate.* expired/));
  });
});
