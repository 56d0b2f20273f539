import { readFile } from "node:fs/promises";
import { asMicroError, MicroError, messageOf } from "../../base/error.ts";
import { type ReadCertificate, readCertificate } from "./certificate-chain.ts";
import { isTrustDomain } from "./spiffe-id.ts";

/** The certificates of a trust domain's authorities, in PEM, or the file that contains them. */
export type TrustBundle = string | { readonly file: string };

/** The bundles of several trust domains, by the name of the domain. */
export type TrustBundles = Readonly<Record<string, TrustBundle>>;

/** How often files are looked at, in milliseconds. */
export const lookEveryMs = 2_000;
const maxFileBytes = 1024 * 1024;
const pemCertificate = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

interface Bundle {
  readonly file: string | undefined;
  text: string;
  certificates: readonly ReadCertificate[];
}

/**
 * The authorities of trust domains. Files are read again when they change; a file that cannot be
 * read, or is not a bundle, leaves the last good one in place.
 */
export class TrustBundleSet {
  readonly #bundles = new Map<string, Bundle>();

  /** @throws MicroError `invalid_argument` for a domain or a bundle that cannot be used. */
  constructor(bundles: TrustBundles) {
    for (const [trustDomain, bundle] of Object.entries(bundles)) {
      if (!isTrustDomain(trustDomain)) {
        throw invalid(
          `${JSON.stringify(trustDomain)} is not the name of a trust domain; write acme.example`,
        );
      }
      if (typeof bundle === "string") {
        const certificates = readBundle(bundle, trustDomain);
        this.#bundles.set(trustDomain, { file: undefined, text: bundle, certificates });
      } else {
        this.#bundles.set(trustDomain, { file: bundle.file, text: "", certificates: [] });
      }
    }
    if (this.#bundles.size === 0) throw invalid("bundles has no trust domain");
  }

  get hasFiles(): boolean {
    return [...this.#bundles.values()].some(({ file }) => file !== undefined);
  }

  /** The authorities of a trust domain; undefined if the domain is not known. */
  of(trustDomain: string): readonly ReadCertificate[] | undefined {
    return this.#bundles.get(trustDomain)?.certificates;
  }

  /** Reads the files. Returns whether a bundle has changed, and why the first could not be used. */
  async read(): Promise<{ changed: boolean; failure: MicroError | undefined }> {
    let changed = false;
    let failure: MicroError | undefined;
    for (const [trustDomain, bundle] of this.#bundles) {
      const { file } = bundle;
      if (file === undefined) continue;
      try {
        const text = await readFile(file, "utf8");
        if (text === bundle.text) continue;
        if (text.length > maxFileBytes) throw invalid(`${file} is too large`);
        bundle.certificates = readBundle(text, trustDomain);
        bundle.text = text;
        changed = true;
      } catch (reason) {
        failure ??= unusable(trustDomain, file, reason);
      }
    }
    return { changed, failure };
  }
}

function readBundle(text: string, trustDomain: string): readonly ReadCertificate[] {
  const certificates = (text.match(pemCertificate) ?? []).map((pem) => {
    try {
      return readCertificate(pem);
    } catch (reason) {
      throw invalid(`the bundle of ${trustDomain}: ${messageOf(reason)}`);
    }
  });
  if (certificates.length === 0) {
    throw invalid(`the bundle of ${trustDomain} has no certificate in PEM`);
  }
  if (certificates.some(({ extensions }) => !extensions.isAuthority)) {
    throw invalid(`the bundle of ${trustDomain} has a certificate that is not one of an authority`);
  }
  return certificates;
}

function unusable(trustDomain: string, file: string, reason: unknown): MicroError {
  const cause = asMicroError(reason, "unavailable");
  return new MicroError(
    "unavailable",
    `cannot read the bundle of ${trustDomain} from ${file}: ${cause.message}`,
    { outcome: "not-executed", cause },
  );
}

function invalid(reason: string): MicroError {
  return new MicroError("invalid_argument", `certificateAuth: ${reason}`, {
    outcome: "not-executed",
  });
}
