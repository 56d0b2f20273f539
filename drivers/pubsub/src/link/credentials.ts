import { createPrivateKey, type KeyObject, sign } from "node:crypto";
import { readFileSync } from "node:fs";
import { MicroError } from "@micro-es/runtime";
import { invalid, type PubSubOptions } from "./options.ts";

/** A token, and when it ends on the wall clock. */
export interface AccessToken {
  readonly value: string;
  /** In milliseconds since 1970. */
  readonly expiresAt: number;
}

/** Obtains tokens. */
export interface TokenSource {
  /** The project that the credentials belong to, if they say so. */
  readonly project: string | undefined;
  /** @throws MicroError `unavailable`, or `unauthenticated` if the credentials are refused. */
  obtain(signal: AbortSignal): Promise<AccessToken>;
}

/** The audience of tokens that are signed here: the service, by its usual name. */
const audience = "https://pubsub.googleapis.com/";
const scope = "https://www.googleapis.com/auth/pubsub";
const defaultTokenUri = "https://oauth2.googleapis.com/token";
const lifetimeSeconds = 3_600;
/** The largest response of a token endpoint, in characters. */
const longestResponse = 65_536;

/**
 * The source of tokens that the options or the environment name.
 * @throws MicroError `invalid_argument` for a file that cannot be read, or has other contents.
 */
export function tokenSourceOf(options: PubSubOptions): TokenSource {
  const { accessToken, environment = process.env } = options;
  if (accessToken !== undefined) {
    // The function keeps its token current by itself.
    const obtain = async () => ({ value: await accessToken(), expiresAt: 0 });
    return { project: undefined, obtain };
  }
  const path = options.credentials ?? (environment.GOOGLE_APPLICATION_CREDENTIALS || undefined);
  if (path !== undefined) return fromFile(path);
  return metadataServer(environment.GCE_METADATA_HOST || "metadata.google.internal");
}

interface CredentialsFile {
  readonly type?: unknown;
  readonly project_id?: unknown;
  readonly quota_project_id?: unknown;
  readonly client_email?: unknown;
  readonly private_key?: unknown;
  readonly private_key_id?: unknown;
  readonly client_id?: unknown;
  readonly client_secret?: unknown;
  readonly refresh_token?: unknown;
  readonly token_uri?: unknown;
}

function fromFile(path: string): TokenSource {
  const file = `the credentials file ${path}`;
  let content: CredentialsFile;
  try {
    content = JSON.parse(readFileSync(path, "utf8")) as CredentialsFile;
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    // The message of a parser would quote the file.
    const why = cause instanceof SyntaxError ? "it is not JSON" : (code ?? "it cannot be read");
    throw invalid(`cannot read ${file}: ${why}`);
  }
  if (content?.type === "service_account") return serviceAccount(content, file);
  if (content?.type === "authorized_user") return authorizedUser(content, file);
  const type = JSON.stringify(String(content?.type).slice(0, 64));
  throw invalid(
    `${file} has the type ${type}; service_account and authorized_user are supported, and the option accessToken takes tokens of others`,
  );
}

/** Signs tokens for the service itself, so that no token endpoint is needed. */
function serviceAccount(content: CredentialsFile, file: string): TokenSource {
  const email = textOf(content, "client_email", file);
  const keyId = textOf(content, "private_key_id", file);
  let key: KeyObject;
  try {
    key = createPrivateKey(textOf(content, "private_key", file));
  } catch (error) {
    if (error instanceof MicroError) throw error;
    throw invalid(`private_key in ${file} is not a private key in PEM`);
  }
  if (key.asymmetricKeyType !== "rsa") throw invalid(`private_key in ${file} is not an RSA key`);
  return {
    project: optionalText(content.project_id),
    async obtain() {
      const now = Math.floor(Date.now() / 1_000);
      const exp = now + lifetimeSeconds;
      const claims = { iss: email, sub: email, aud: audience, iat: now, exp };
      const header = { alg: "RS256", typ: "JWT", kid: keyId };
      const signed = [header, claims].map((each) => base64Url(JSON.stringify(each))).join(".");
      const signature = sign("RSA-SHA256", Buffer.from(signed), key).toString("base64url");
      return { value: `${signed}.${signature}`, expiresAt: exp * 1_000 };
    },
  };
}

function authorizedUser(content: CredentialsFile, file: string): TokenSource {
  const body = new URLSearchParams({
    grant_type: "refresh_token",
    client_id: textOf(content, "client_id", file),
    client_secret: textOf(content, "client_secret", file),
    refresh_token: textOf(content, "refresh_token", file),
    scope,
  });
  const uri = optionalText(content.token_uri) ?? defaultTokenUri;
  if (!URL.canParse(uri) || !isSafe(new URL(uri))) {
    throw invalid(`token_uri in ${file} is not an https:// URL`);
  }
  return {
    project: optionalText(content.quota_project_id),
    obtain: (signal) => request(uri, { method: "POST", body, signal }, uri),
  };
}

/** The account that Google gave to the machine, the pod or the function. */
function metadataServer(host: string): TokenSource {
  const url = `http://${host}/computeMetadata/v1/instance/service-accounts/default/token`;
  const help = "set GOOGLE_APPLICATION_CREDENTIALS outside Google Cloud";
  return {
    project: undefined,
    obtain: (signal) =>
      request(url, { headers: { "metadata-flavor": "Google" }, signal }, `${host} (${help})`),
  };
}

/** Without TLS a token endpoint is only allowed on this machine. */
function isSafe({ protocol, hostname }: URL): boolean {
  if (protocol === "https:") return true;
  return protocol === "http:" && /^(127\.\d+\.\d+\.\d+|localhost|\[::1\])$/.test(hostname);
}

async function request(url: string, init: RequestInit, where: string): Promise<AccessToken> {
  let status: number;
  let text: string;
  try {
    const response = await fetch(url, { ...init, redirect: "error" });
    status = response.status;
    text = await limitedText(response);
  } catch (cause) {
    const { message, cause: inner } = cause as Error;
    const why = inner instanceof Error ? inner.message : message;
    throw new MicroError("unavailable", `no access token from ${where}: ${why}`, {
      outcome: "not-executed",
      cause,
    });
  }
  const parsed = parse(text);
  if (status !== 200) {
    const said = typeof parsed.error === "string" ? `, ${parsed.error.slice(0, 200)}` : "";
    const isRefused = status >= 400 && status < 500 && status !== 429;
    throw new MicroError(
      isRefused ? "unauthenticated" : "unavailable",
      `no access token from ${where}: status ${status}${said}`,
      { outcome: "not-executed" },
    );
  }
  const { access_token: value, expires_in: seconds } = parsed;
  if (typeof value !== "string" || !/^[\x21-\x7e]+$/.test(value) || !(Number(seconds) > 0)) {
    const message = `no access token from ${where}: its response has no token`;
    throw new MicroError("unavailable", message, { outcome: "not-executed" });
  }
  return { value, expiresAt: Date.now() + Number(seconds) * 1_000 };
}

async function limitedText(response: Response): Promise<string> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk as Uint8Array, { stream: true });
    if (text.length > longestResponse) throw new Error("its response is too long");
  }
  return text;
}

function parse(text: string): Readonly<Record<string, unknown>> {
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === "object" && parsed !== null ? { ...parsed } : {};
  } catch {
    return {};
  }
}

function textOf(content: CredentialsFile, name: keyof CredentialsFile, file: string): string {
  const value = optionalText(content[name]);
  if (value === undefined) throw invalid(`${file} has no ${name}`);
  return value;
}

function optionalText(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

function base64Url(text: string): string {
  return Buffer.from(text).toString("base64url");
}
