import { type FileHandle, open, stat } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { MicroError, messageOf } from "../../base/error.ts";
import { parseJson } from "../../base/json-syntax.ts";
import { isTable } from "../token-form.ts";
import { checkKeyUrl, httpsGet, maxDocumentBytes } from "./https-get.ts";

/** Where a key set is read from. */
export interface KeySetOrigin {
  /** For messages, and to recognize the file that keeps a copy. */
  readonly place: string;
  /** Returns the text of the key set. @throws MicroError with the reason. */
  read(signal: AbortSignal): Promise<string>;
}

/** Certificates of the authorities that are trusted in place of Node's. */
export type Authorities = string | Buffer | undefined;

/**
 * The key set at an https URL or in a file.
 * @param option the option that has the location, for messages
 * @throws MicroError `invalid_argument` for another URL.
 */
export function keySetAt(
  location: string | URL,
  ca: Authorities,
  option = "jwtAuth: jwks",
): KeySetOrigin {
  if (typeof location === "string" && !/^[a-z][a-z0-9+.-]*:\/\//i.test(location)) {
    return keySetInFile(location);
  }
  if (!URL.canParse(String(location))) {
    throw new MicroError("invalid_argument", `${option} must be an https URL or a path`, {
      outcome: "not-executed",
    });
  }
  const url = new URL(location);
  if (url.protocol === "file:") return keySetInFile(fileURLToPath(url));
  checkKeyUrl(url, option);
  return { place: url.href, read: (signal) => httpsGet(url, { signal, ca }) };
}

function keySetInFile(path: string): KeySetOrigin {
  return { place: path, read: () => readBounded(path) };
}

async function readBounded(path: string): Promise<string> {
  let file: FileHandle | undefined;
  try {
    // Opening a pipe would wait for its writer.
    if (!(await stat(path)).isFile()) throw new Error("it is not a file");
    file = await open(path);
    const buffer = Buffer.alloc(maxDocumentBytes + 1);
    let length = 0;
    for (;;) {
      const { bytesRead } = await file.read(buffer, length, buffer.length - length);
      length += bytesRead;
      if (length > maxDocumentBytes) throw new Error(`it is larger than ${maxDocumentBytes} bytes`);
      if (bytesRead === 0) return buffer.toString("utf8", 0, length);
    }
  } catch (error) {
    throw new MicroError("unavailable", `cannot read the key set ${path}: ${messageOf(error)}`, {
      cause: error,
      outcome: "not-executed",
    });
  } finally {
    await file?.close();
  }
}

/**
 * The key set that an issuer names in its OpenID configuration. The configuration is read again
 * with each key set, because an issuer may move its keys. They may be on another host, since the
 * issuer says so over TLS; only an issuer on this machine may name one without TLS.
 *
 * @throws MicroError `invalid_argument` if the issuer is not an https URL.
 */
export function keySetOfIssuer(issuer: string, ca: Authorities): KeySetOrigin {
  if (!URL.canParse(issuer)) {
    throw new MicroError(
      "invalid_argument",
      "jwtAuth: give jwks or keys, or an issuer that is the https URL of an OpenID provider",
      { outcome: "not-executed" },
    );
  }
  const configuration = new URL(`${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`);
  checkKeyUrl(configuration, "jwtAuth: an issuer whose keys are discovered");
  return {
    place: configuration.href,
    async read(signal) {
      const text = await httpsGet(configuration, { signal, ca });
      return httpsGet(keySetNamedIn(text, issuer, configuration), { signal, ca });
    },
  };
}

function keySetNamedIn(text: string, issuer: string, configuration: URL): URL {
  const result = parseJson(text);
  const value = "value" in result ? result.value : undefined;
  if (!isTable(value)) throw malformed(configuration, "it is not a JSON object");
  if (value.issuer !== issuer) {
    throw malformed(configuration, "its issuer is not exactly the one that jwtAuth was given");
  }
  const { jwks_uri: location } = value;
  if (typeof location !== "string" || !URL.canParse(location)) {
    throw malformed(configuration, "it has no jwks_uri");
  }
  const url = new URL(location);
  if (url.protocol !== "https:" && configuration.protocol === "https:") {
    throw malformed(configuration, "its jwks_uri is not https");
  }
  checkKeyUrl(url, `the jwks_uri of ${configuration.href}`);
  return url;
}

function malformed({ href }: URL, reason: string): MicroError {
  return new MicroError("unavailable", `the configuration ${href} cannot be used: ${reason}`, {
    outcome: "not-executed",
  });
}
