import { X509Certificate } from "node:crypto";
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger } from "@micro-es/runtime";
import { certificateAuth } from "@micro-es/runtime/auth";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import {
  type CertificateInit,
  type IssuedIdentity,
  TestAuthority,
} from "../../../../test/support/certificates.ts";
import { errorOf } from "../../../../test/support/server.ts";
import type { Auth } from "../auth.ts";
import { readExtensions } from "./certificate-extensions.ts";
import { parseSpiffeId } from "./spiffe-id.ts";

const spiffe = "spiffe://acme.example/order";
let acme: TestAuthority;
let partner: TestAuthority;
let between: TestAuthority;
const open: Auth[] = [];

beforeAll(() => {
  acme = new TestAuthority();
  partner = new TestAuthority();
  between = new TestAuthority(86_400, acme);
});
afterAll(() => {
  for (const it of [acme, partner, between]) it[Symbol.dispose]();
});
afterEach(async () => {
  for (const it of open.splice(0)) await it.close();
});

function auth(bundles: Parameters<typeof certificateAuth>[0]["bundles"]): Auth {
  const made = certificateAuth({ bundles, logger: silentLogger });
  open.push(made);
  return made;
}

const bundles = () => ({ "acme.example": acme.ca, "partner.example": partner.ca });

/** The peer whose connection has proved these certificates. */
function peerOf(...pem: readonly string[]) {
  const chain = pem
    .flatMap((text) => text.match(/-----BEGIN[^-]+-----[^-]+-----END[^-]+-----/g) ?? [])
    .map((one) => new Uint8Array(new X509Certificate(one).raw));
  return { address: "10.0.0.7:1", transport: "tcp", certificate: { fingerprint: "", chain } };
}

const inspect = async (it: Auth, identity: IssuedIdentity) =>
  it.inspect(undefined, peerOf(identity.cert));

test("the SPIFFE id of a certificate is the account", async () => {
  const identity = acme.issue({ names: [`URI:${spiffe}`, "DNS:order.internal"] });
  const account = await inspect(auth(bundles()), identity);
  expect(account).toMatchObject({
    ...{ id: spiffe, issuer: "spiffe://acme.example", type: "service", provenBy: "certificate" },
    expiresAtMs: Date.parse(new X509Certificate(identity.cert).validTo),
  });
  expect(account?.scopes.size).toBe(0);
});

test("an issuer between the certificate and the bundle is one of the chain, and may end it", async () => {
  const short = new TestAuthority(3_600, acme);
  const identity = short.issue({ names: [`URI:${spiffe}`] });
  const account = await inspect(auth(bundles()), identity);
  expect(account?.expiresAtMs).toBeLessThan(Date.now() + 3_700_000);
  short[Symbol.dispose]();
});

test("no account without a certificate, and none in place of a token", async () => {
  const it = auth(bundles());
  const peer = peerOf(acme.issue({ names: [`URI:${spiffe}`] }).cert);
  expect(await it.inspect(undefined, { address: "a", transport: "tcp" })).toBeUndefined();
  expect(await it.inspect({ scheme: "bearer", token: "t" }, peer)).toBeUndefined();
});

describe("a certificate is refused", () => {
  const section = (lines: string) => ({ names: ["@names"], more: `[names]\n${lines}` });
  const refused: Record<string, [CertificateInit, RegExp]> = {
    "with two URIs": [{ names: [`URI:${spiffe}`, "URI:spiffe://acme.example/admin"] }, /2 URIs/],
    "without a URI": [{ names: ["DNS:order.acme.example"] }, /0 URIs/],
    "whose DNS name looks like a URI": [section(`DNS.1=URI:${spiffe}`), /0 URIs/],
    "whose e-mail address looks like a URI": [{ names: [`email:URI@x`] }, /0 URIs/],
    "whose URI has a comma": [
      section("URI.1=spiffe://acme.example/a, URI:spiffe://acme.example/admin"),
      /not a SPIFFE id/,
    ],
    "whose URI has a quote": [section('URI.1=spiffe://acme.example/a\\"'), /not a SPIFFE id/],
    "whose URI is not a SPIFFE id": [{ names: ["URI:https://acme.example/order"] }, /not a SPIFFE/],
    "of an authority": [{ names: [`URI:${spiffe}`], isAuthority: true }, /one of an authority/],
    "that may sign others": [
      { names: [`URI:${spiffe}`], more: "keyUsage=digitalSignature,keyCertSign" },
      /may sign certificates/,
    ],
    "whose key may not sign": [
      { names: [`URI:${spiffe}`], more: "keyUsage=keyAgreement" },
      /may not sign/,
    ],
    "made for servers": [
      { names: [`URI:${spiffe}`], more: "extendedKeyUsage=serverAuth" },
      /not made for clients/,
    ],
    "with a critical extension that is not understood": [
      { names: [`URI:${spiffe}`], more: "1.2.3.4=critical,DER:0500" },
      /critical extension 1\.2\.3\.4/,
    ],
    "that has expired": [{ names: [`URI:${spiffe}`], seconds: -1 }, /has expired/],
    "of another domain's authority": [
      { names: ["URI:spiffe://partner.example/order"] },
      /no authority of the trust domain's bundle/,
    ],
    "of an unknown domain": [{ names: ["URI:spiffe://other.example/a"] }, /other\.example is not/],
  };

  test.each(Object.entries(refused))("%s", async (_, [init, reason]) => {
    const error = await errorOf((async () => inspect(auth(bundles()), acme.issue(init)))());
    expect(error).toMatchObject({ code: "unauthenticated", outcome: "not-executed" });
    expect(error.message).toMatch(reason);
  });

  test("that was issued by a certificate which is not an authority", async () => {
    const leaf = acme.issue({ names: [`URI:${spiffe}`] });
    const own = between.issue({ names: [`URI:${spiffe}`] });
    // The chain lacks the authority between, and has a leaf in its place.
    const [cert] = own.cert.match(/-----BEGIN[^-]+-----[^-]+-----END[^-]+-----/) ?? [];
    const peer = peerOf(cert ?? "", leaf.cert);
    const error = await errorOf((async () => auth(bundles()).inspect(undefined, peer))());
    expect(error.message).toMatch(/no authority/);
  });

  test("whose URI has a NUL, or whose lengths are not DER", () => {
    const { raw } = new X509Certificate(acme.issue({ names: [`URI:${spiffe}`] }).cert);
    const at = raw.indexOf("spiffe://");
    const withNul = Buffer.from(raw);
    withNul[at + spiffe.length - 1] = 0;
    const [uri = ""] = readExtensions(withNul).uris;
    expect(uri).toBe(`${spiffe.slice(0, -1)}\0`);
    expect(parseSpiffeId(uri)).toBeUndefined();
    const indefinite = Buffer.from(raw);
    indefinite[1] = 0x80;
    for (const bytes of [indefinite, raw.subarray(0, -1), Buffer.concat([raw, raw])]) {
      expect(() => readExtensions(bytes)).toThrow(/the certificate/);
    }
  });
});

test.each([
  ["spiffe://acme.example/a", true],
  ["spiffe://acme.example/a/b-c_d.e", true],
  ["spiffe://acme.example", false],
  ["spiffe://acme.example/", false],
  ["spiffe://acme.example/a/", false],
  ["spiffe://acme.example//a", false],
  ["spiffe://acme.example/../a", false],
  ["spiffe://acme.example/a/.", false],
  ["spiffe://Acme.example/a", false],
  ["SPIFFE://acme.example/a", false],
  ["spiffe://acme.example:1/a", false],
  ["spiffe://u@acme.example/a", false],
  ["spiffe://acme.example/a?b", false],
  ["spiffe://acme.example/%61", false],
  ["spiffe://acme.example/ä", false],
  ["spiffe://acme.example/a\n", false],
  [`spiffe://acme.example/${"a".repeat(2_026)}`, true],
  [`spiffe://acme.example/${"a".repeat(2_027)}`, false],
])("%j is a SPIFFE id of a workload: %j", (text, expected) => {
  expect(parseSpiffeId(text) !== undefined).toBe(expected);
});

test("a bundle in a file is read again, and accounts of a removed authority end", async () => {
  const folder = await mkdtemp(join(tmpdir(), "micro-es-bundle-"));
  const file = join(folder, "bundle.pem");
  const replace = async (text: string) => {
    await writeFile(`${file}.new`, text);
    await rename(`${file}.new`, file);
  };
  const it = auth({ "acme.example": { file } });
  const identity = acme.issue({ names: [`URI:${spiffe}`] });
  await it.open?.();
  expect(it.state).toBe("degraded");
  expect(await errorOf((async () => inspect(it, identity))())).toMatchObject({
    code: "unavailable",
  });
  await replace(acme.ca);
  await expect.poll(() => it.state, { timeout: 10_000 }).toBe("healthy");
  const peer = peerOf(identity.cert);
  const account = await it.inspect(undefined, peer);
  expect(account?.id).toBe(spiffe);

  await replace("not a bundle");
  await expect.poll(() => it.state, { timeout: 10_000 }).toBe("degraded");
  expect(await it.inspect(undefined, peer)).toBe(account);
  const ended: boolean[] = [];
  it.onRevoked?.((hasEnded) => ended.push(hasEnded(account!)));
  await replace(acme.ca + partner.ca);
  await expect.poll(() => ended, { timeout: 10_000 }).toEqual([false]);
  await replace(partner.ca);
  await expect.poll(() => ended, { timeout: 10_000 }).toEqual([false, true]);
  expect(await errorOf((async () => it.inspect(undefined, peer))())).toMatchObject({
    code: "unauthenticated",
  });
  await rm(folder, { recursive: true });
});

test("bundles that cannot be used are refused", () => {
  const leaf = acme.issue({ names: [`URI:${spiffe}`] }).cert;
  for (const bad of [{}, { "Acme.example": acme.ca }, { "a.b": "text" }, { "a.b": leaf }]) {
    expect(() => certificateAuth({ bundles: bad })).toThrow(/certificateAuth: /);
  }
});
