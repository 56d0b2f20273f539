import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";

/** What a certificate says. */
export interface CertificateRequest {
  /** Its alternative names that are URIs. */
  readonly uris?: readonly string[];
  readonly dns?: readonly string[];
  readonly isAuthority?: boolean;
  readonly purposes?: readonly ("client" | "server")[];
  /** Whether it ended yesterday. */
  readonly hasExpired?: boolean;
}

/** A certificate with its key, and those between it and the root; all PEM. */
export interface Issued {
  readonly key: string;
  readonly cert: string;
}

/** A program that authorities are run with. */
export interface CaTool {
  readonly name: string;
  /** How to get it, where it is missing. */
  readonly fix: string | undefined;
  /** Whether CI does without it, because it takes long to build. */
  readonly isOptional: boolean;
  /** Makes a root in an empty folder. */
  root(folder: string): Authority;
}

/** An authority that signs by a tool. */
export interface Authority {
  readonly cert: string;
  /** An authority whose certificate this one signs. */
  between(name: string): Authority;
  issue(request: CertificateRequest): Issued;
}

/** Files of a certificate and its key. */
interface Files {
  readonly key: string;
  readonly cert: string;
}

/** Makes a key and a certificate, signed by itself if there is no issuer. */
type Sign = (files: Files, issuer: Files | undefined, request: CertificateRequest) => void;

function authority(sign: Sign, folder: string, name: string, issuer?: Files): Authority {
  const chain: string[] = [];
  const filesOf = (of: string): Files => ({
    key: join(folder, `${of}.key`),
    cert: join(folder, `${of}.pem`),
  });
  const own = filesOf(name);
  sign(own, issuer, { isAuthority: true });
  const cert = readFileSync(own.cert, "utf8");
  if (issuer !== undefined) chain.push(cert);
  let count = 0;
  return {
    cert,
    between: (between) => authority(sign, folder, between, own),
    issue(request) {
      const files = filesOf(`${name}-${count++}`);
      sign(files, own, request);
      const text = readFileSync(files.cert, "utf8");
      return { key: readFileSync(files.key, "utf8"), cert: [text, ...chain].join("\n") };
    },
  };
}

function run(program: string, ...words: string[]): void {
  execFileSync(program, words, { stdio: ["ignore", "ignore", "pipe"] });
}

/** A program of the PATH, or of `.tools`. */
function found(program: string, ...folders: string[]): string | undefined {
  const all = [...(process.env.PATH ?? "").split(":"), ...folders];
  return all.map((folder) => join(folder, program)).find(existsSync);
}

const toolOf = (
  name: string,
  program: string | undefined,
  fix: string,
  sign: Sign,
  isOptional = false,
): CaTool => ({
  name,
  fix: program === undefined ? fix : undefined,
  isOptional,
  root: (folder) => authority(sign, folder, "root"),
});

/** OpenSSL as its manual shows it: a request, and its signature by `x509`. RSA keys. */
const openssl = toolOf("openssl", found("openssl"), "apt-get install openssl", (files, by, it) => {
  const names = [
    ...(it.uris ?? []).map((uri) => `URI:${uri}`),
    ...(it.dns ?? []).map((name) => `DNS:${name}`),
  ];
  const extensions = [
    `basicConstraints=critical,CA:${it.isAuthority === true ? "TRUE" : "FALSE"}`,
    `keyUsage=critical,${it.isAuthority === true ? "keyCertSign,cRLSign" : "digitalSignature"}`,
    ...(names.length > 0 ? [`subjectAltName=${names.join(",")}`] : []),
    ...(it.purposes ? [`extendedKeyUsage=${it.purposes.map((of) => `${of}Auth`).join(",")}`] : []),
  ];
  const key = ["-newkey", "rsa:2048", "-nodes", "-keyout", files.key, "-subj", "/O=Acme/CN=acme"];
  if (by === undefined) {
    const added = extensions.flatMap((extension) => ["-addext", extension]);
    run("openssl", "req", "-x509", ...key, "-days", "2", ...added, "-out", files.cert);
    return;
  }
  const [request, file] = [`${files.cert}.csr`, `${files.cert}.cnf`];
  writeFileSync(file, extensions.join("\n"));
  run("openssl", "req", "-new", ...key, "-out", request);
  run(
    "openssl",
    ...["x509", "-req", "-in", request, "-CA", by.cert, "-CAkey", by.key, "-CAcreateserial"],
    ...["-days", it.hasExpired === true ? "-1" : "2", "-extfile", file, "-out", files.cert],
  );
});

/** GnuTLS. Keys of P-256. */
const certtool = toolOf(
  "certtool",
  found("certtool"),
  "apt-get install gnutls-bin (test/setup does)",
  (files, by, it) => {
    const template = `${files.cert}.cfg`;
    const lines = [
      'cn = "acme"',
      ...(it.uris ?? []).map((uri) => `uri = "${uri}"`),
      ...(it.dns ?? []).map((name) => `dns_name = "${name}"`),
      ...(it.purposes ?? []).map((of) => `tls_www_${of}`),
      ...(it.isAuthority === true
        ? ["ca", "cert_signing_key", "crl_signing_key"]
        : ["signing_key"]),
      ...(it.hasExpired === true
        ? ['activation_date = "2024-01-01 00:00:00"', 'expiration_date = "2024-02-01 00:00:00"']
        : ["expiration_days = 2"]),
    ];
    writeFileSync(template, lines.join("\n"));
    run("certtool", "--generate-privkey", "--key-type", "ecdsa", "--outfile", files.key);
    run(
      "certtool",
      ...["--load-privkey", files.key, "--template", template, "--outfile", files.cert],
      ...(by === undefined
        ? ["--generate-self-signed"]
        : [
            ...["--generate-certificate", "--load-ca-certificate", by.cert],
            ...["--load-ca-privkey", by.key],
          ]),
    );
  },
);

/** `step` of Smallstep, which Go builds in two minutes. Ed25519 keys. */
const step = toolOf(
  "step",
  found("step"),
  "go install github.com/smallstep/cli/cmd/step@v0.21.0, and have it in the PATH",
  (files, by, it) => {
    const template = `${files.cert}.tpl`;
    const names = [
      ...(it.uris ?? []).map((value) => ({ type: "uri", value })),
      ...(it.dns ?? []).map((value) => ({ type: "dns", value })),
    ];
    const content = {
      // Its roots have no identifier of their key, so names tell them from what they have signed.
      subject: { commonName: basename(files.cert) },
      sans: names,
      keyUsage: it.isAuthority === true ? ["certSign", "crlSign"] : ["digitalSignature"],
      ...(it.purposes && { extKeyUsage: it.purposes.map((of) => `${of}Auth`) }),
      basicConstraints: { isCA: it.isAuthority === true, maxPathLen: -1 },
    };
    writeFileSync(template, JSON.stringify(content));
    run(
      "step",
      ...["certificate", "create", "acme", files.cert, files.key, "--template", template],
      ...["--kty", "OKP", "--crv", "Ed25519", "--no-password", "--insecure"],
      ...(by === undefined ? [] : ["--ca", by.cert, "--ca-key", by.key]),
      ...(it.hasExpired === true ? ["--not-before=-48h", "--not-after=-24h"] : ["--not-after=48h"]),
    );
  },
  true,
);

/** Tools of different makers: what they write differs, as in the order of extensions. */
export const caTools: readonly CaTool[] = [openssl, certtool, step];
