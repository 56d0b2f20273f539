import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A key with its certificate, PEM. */
export interface IssuedIdentity {
  readonly key: string;
  /** The certificate, with those of the authorities between it and the root. */
  readonly cert: string;
}

/** What a certificate says. */
export interface CertificateInit {
  /**
   * Alternative names as OpenSSL writes them, such as `DNS:localhost`, `IP:127.0.0.1`,
   * `URI:spiffe://trust.example/a`.
   */
  readonly names: readonly string[];
  /** Seconds from now until it expires. Default: two days. */
  readonly seconds?: number;
  /** Whether it may issue others. */
  readonly isAuthority?: boolean;
  /** Further lines of OpenSSL's configuration: extensions, and then sections. */
  readonly more?: string;
}

const twoDays = 2 * 86_400;
/** Longer than what it issues, because the first certificate of a chain to expire ends it. */
const fourDays = 2 * twoDays;

/**
 * An authority of its own, whose certificates may be valid for seconds. It needs the program
 * `openssl`.
 */
export class TestAuthority implements Disposable {
  /** The certificate of the root. */
  readonly ca: string;
  readonly #folder: string;
  readonly #chain: string;
  #count = 0;

  /**
   * @param seconds from now until its own certificate expires; default: four days
   * @param issuer the authority whose certificate this one has, for one between the root and the
   * others
   */
  constructor(seconds: number = fourDays, issuer?: TestAuthority) {
    this.#folder = mkdtempSync(join(tmpdir(), "micro-es-ca-"));
    writeFileSync(join(this.#folder, "index.txt"), "");
    writeFileSync(join(this.#folder, "serial"), "1000");
    writeFileSync(join(this.#folder, "ca.cnf"), configuration(this.#folder));
    const extensions = "basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign,cRLSign\n";
    const own = this.#request("ca", `authority ${issuer === undefined ? "root" : "between"}`);
    const by = issuer ?? this;
    const cert = by.#sign(own, extensions, seconds, by === this);
    writeFileSync(join(this.#folder, "ca.pem"), cert);
    this.ca = issuer?.ca ?? cert;
    this.#chain = issuer === undefined ? "" : cert;
  }

  /** A key with a certificate for clients and servers. */
  issue(init: CertificateInit): IssuedIdentity {
    const { names, seconds = twoDays, isAuthority = false, more = "" } = init;
    const name = `leaf${this.#count++}`;
    const request = this.#request(name, name);
    const constraints = `basicConstraints=CA:${isAuthority ? "TRUE" : "FALSE"}`;
    const extensions = `subjectAltName=${names.join(",")}\n${constraints}\n${more}\n`;
    const cert = this.#sign(request, extensions, seconds, false) + this.#chain;
    return { key: readFileSync(join(this.#folder, `${name}.key`), "utf8"), cert };
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #request(name: string, commonName: string): string {
    const request = join(this.#folder, `${name}.csr`);
    openssl(
      ...["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"],
      ...["-subj", `/CN=${commonName}`, "-keyout", join(this.#folder, `${name}.key`)],
      ...["-out", request],
    );
    return request;
  }

  #sign(request: string, extensions: string, seconds: number, selfSigned: boolean): string {
    const folder = this.#folder;
    const serial = ++this.#count;
    const [file, out] = [join(folder, `${serial}.ext`), join(folder, `${serial}.pem`)];
    writeFileSync(file, extensions);
    // A minute back, because the clock of a certificate has whole seconds.
    const [from, to] = [-60, seconds].map((offset) => asn1Time(Date.now() + offset * 1_000));
    openssl(
      ...["ca", "-batch", "-notext", "-config", join(folder, "ca.cnf")],
      ...["-startdate", from!, "-enddate", to!, "-extfile", file, "-in", request, "-out", out],
      ...(selfSigned ? ["-selfsign"] : []),
    );
    return readFileSync(out, "utf8");
  }
}

function openssl(...words: string[]): void {
  execFileSync("openssl", words, { stdio: ["ignore", "ignore", "pipe"] });
}

function asn1Time(time: number): string {
  return new Date(time).toISOString().replace(/[-:T]|\.\d+/g, "");
}

function configuration(folder: string): string {
  return `[ca]
default_ca = own
[own]
new_certs_dir = ${folder}
database = ${folder}/index.txt
serial = ${folder}/serial
certificate = ${folder}/ca.pem
private_key = ${folder}/ca.key
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
`;
}
