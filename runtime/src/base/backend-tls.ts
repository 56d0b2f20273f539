import { readFileSync } from "node:fs";
import type { BackendUrl } from "./backend-url.ts";
import { MicroError } from "./error.ts";
import { omitUndefined } from "./omit-undefined.ts";
import { either, type OptionKind, optionsOf, secret, text } from "./option-check.ts";
import { anyText, type TextValue } from "./text-value.ts";

/** TLS options for the servers of a backend; certificates and keys are PEM. */
export interface BackendTlsOptions {
  /** Certificates of trusted authorities. Default: the system's. */
  readonly ca?: string;
  /** This client's certificate and key, for servers that require one. */
  readonly cert?: string;
  readonly key?: string;
}

/** {@link BackendTlsOptions}, or `true` for the system's authorities and no certificate. */
export const backendTls: OptionKind = either(
  optionsOf<BackendTlsOptions>({ ca: text, cert: text, key: secret }),
  { words: "true", accepts: (value) => value === true },
);

/** Readers for the usual parameters of a URL that name PEM files, for {@link readTls}. */
export const pemPaths: Readonly<Record<"ca" | "cert" | "key", TextValue<string>>> = {
  ca: anyText,
  cert: anyText,
  key: anyText,
};

/**
 * The option `tls` that the URL of a backend describes, with the contents of the PEM files that it
 * names.
 *
 * @param howToEncrypt completes the message about files without TLS, such as `use etcds://`.
 * @param names the parameters with the paths of the authorities, the certificate and its key.
 * @throws MicroError `invalid_argument` for files without TLS, and for a file that cannot be read.
 */
export function readTls(
  url: BackendUrl,
  isEncrypted: boolean,
  howToEncrypt: string,
  names: readonly [ca: string, cert: string, key: string] = ["ca", "cert", "key"],
): { readonly tls?: BackendTlsOptions | true } {
  const hasFiles = names.some((name) => url.parameters.has(name));
  if (!isEncrypted) {
    if (!hasFiles) return {};
    throw new MicroError(
      "invalid_argument",
      `${names[0]}, ${names[1]} and ${names[2]} are for TLS; ${howToEncrypt}`,
      { outcome: "not-executed" },
    );
  }
  if (!hasFiles) return { tls: true };
  const [ca, cert, key] = names.map((name) => readPem(url, name));
  return { tls: omitUndefined({ ca, cert, key }) };
}

function readPem(url: BackendUrl, name: string): string | undefined {
  const path = url.parameters.get(name);
  if (path === undefined) return undefined;
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new MicroError(
      "invalid_argument",
      `cannot read the file of ${name}: ${(cause as Error).message}`,
      { outcome: "not-executed", cause },
    );
  }
}
