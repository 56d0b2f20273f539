import { MicroError } from "../../base/error.ts";
import { requestSmall, type SmallResponse, secureUrl } from "../../base/http-request.ts";
import {
  checkOptions,
  either,
  type OptionKindsOf,
  oneOf,
  pem,
  required,
  secret,
  text,
  texts,
} from "../../base/option-check.ts";
import type { CredentialSource } from "../../call/credential-source.ts";
import { BearerCredential } from "./bearer-credential.ts";
import type { IssuedUntil } from "./renewed-credential.ts";
import { ServiceCredentials } from "./service-credentials.ts";
import { services, type TokenServicesOptions } from "./static-token.ts";

/** How to get tokens from an OAuth 2.0 issuer; either `issuer` or `tokenEndpoint` is needed. */
export interface ClientSecretOptions extends TokenServicesOptions {
  /** URL of the issuer, whose metadata names the token endpoint (OpenID Connect, RFC 8414). */
  readonly issuer?: string;
  readonly tokenEndpoint?: string;
  readonly id: string;
  readonly secret: string;
  /**
   * The audience to request; `per-service`: a token for each called service, with the name of the
   * service. Default: none, which leaves it to the issuer.
   */
  readonly audience?: string | readonly string[];
  /** Name of the parameter that requests it: `resource` for RFC 8707. Default `audience`. */
  readonly audienceParameter?: "audience" | "resource";
  readonly scopes?: readonly string[];
  /** Where the secret is sent: in the header or in the body. Default `basic`. */
  readonly authentication?: "basic" | "post";
  /** Certificates of the authorities to trust instead of the well-known ones, in PEM. */
  readonly ca?: string;
}

const kinds: OptionKindsOf<ClientSecretOptions> = {
  issuer: text,
  tokenEndpoint: text,
  id: required(text),
  secret: required(secret),
  audience: either(text, texts),
  audienceParameter: oneOf("audience", "resource"),
  scopes: texts,
  authentication: oneOf("basic", "post"),
  ca: pem,
  services,
};

/** The life of a token whose issuer does not state it, in milliseconds. */
const unstatedLifeMs = 300_000;
const timeoutMs = 8_000;
const maxBytes = 64 * 1024;

/**
 * Presents tokens that an OAuth 2.0 issuer grants to the id and secret of a program (grant
 * `client_credentials`), and requests their successors in time. The secret is sent only over TLS,
 * or to this machine, and follows no redirect.
 *
 * @throws MicroError `invalid_argument` for a URL without TLS.
 *
 * @example
 * ```ts
 * import { createClient } from "@micro-es/runtime";
 * import { clientSecret } from "@micro-es/runtime/auth";
 *
 * const client = createClient({
 *   credentials: clientSecret({
 *     issuer: "https://id.acme.example",
 *     id: "order",
 *     secret: process.env.ORDER_SECRET ?? "",
 *     audience: "per-service",
 *   }),
 * });
 * ```
 */
export function clientSecret(options: ClientSecretOptions): CredentialSource {
  checkOptions("clientSecret", options, kinds);
  const { issuer, tokenEndpoint, audience } = options;
  if ((issuer === undefined) === (tokenEndpoint === undefined)) {
    throw new MicroError(
      "invalid_argument",
      "clientSecret: set one of issuer and tokenEndpoint; for an Auth in this process, use tokenSource",
      { outcome: "not-executed" },
    );
  }
  const endpoint = new TokenEndpoint(options);
  return new ServiceCredentials(audience === "per-service", (service) => {
    const wanted = audience === "per-service" ? [service] : [audience ?? []].flat();
    return requestToken(endpoint, options, wanted);
  });
}

/** The URL of a token endpoint, which may have to be found. */
class TokenEndpoint {
  readonly #issuer: string | undefined;
  readonly #ca: string | undefined;
  #url: URL | undefined;

  constructor({ issuer, tokenEndpoint, ca }: ClientSecretOptions) {
    this.#ca = ca;
    this.#issuer = issuer;
    if (issuer !== undefined) secureUrl(issuer, "clientSecret: issuer");
    else this.#url = secureUrl(tokenEndpoint ?? "", "clientSecret: tokenEndpoint");
  }

  async url(): Promise<URL> {
    this.#url ??= await this.#find(this.#issuer ?? "");
    return this.#url;
  }

  async #find(issuer: string): Promise<URL> {
    const { origin, pathname } = new URL(issuer);
    const path = pathname.replace(/\/$/, "");
    let response = await this.#get(`${origin}${path}/.well-known/openid-configuration`);
    if (response.status === 404) {
      response = await this.#get(`${origin}/.well-known/oauth-authorization-server${path}`);
    }
    const metadata = response.status === 200 ? parseObject(response.text) : {};
    const { token_endpoint: endpoint } = metadata;
    if (metadata.issuer === issuer && typeof endpoint === "string") {
      return secureUrl(endpoint, `the token_endpoint of ${issuer}`);
    }
    throw new MicroError(
      "unavailable",
      `${issuer} does not publish its token endpoint (status ${response.status}); set tokenEndpoint instead of issuer, and check that the issuer names itself so`,
      { outcome: "not-executed" },
    );
  }

  #get(url: string): Promise<SmallResponse> {
    const headers = { accept: "application/json" };
    return requestSmall(new URL(url), {
      ...{ method: "GET", headers, timeoutMs, maxBytes },
      ca: this.#ca,
    });
  }
}

async function requestToken(
  endpoint: TokenEndpoint,
  options: ClientSecretOptions,
  audience: readonly string[],
): Promise<IssuedUntil> {
  const { id, scopes = [], authentication = "basic", audienceParameter = "audience" } = options;
  const body = new URLSearchParams({ grant_type: "client_credentials" });
  if (scopes.length > 0) body.set("scope", scopes.join(" "));
  for (const name of audience) body.append(audienceParameter, name);
  const headers: Record<string, string> = {
    accept: "application/json",
    "content-type": "application/x-www-form-urlencoded",
  };
  if (authentication === "post") {
    body.set("client_id", id);
    body.set("client_secret", options.secret);
  } else {
    const pair = `${formEncoded(id)}:${formEncoded(options.secret)}`;
    headers.authorization = `Basic ${Buffer.from(pair).toString("base64")}`;
  }
  const url = await endpoint.url();
  const response = await requestSmall(url, {
    ...{ method: "POST", headers, body: body.toString(), timeoutMs, maxBytes },
    ca: options.ca,
  });
  return readToken(url, response, options.services ?? (audience.length > 0 ? audience : undefined));
}

function readToken(
  url: URL,
  { status, text: body }: SmallResponse,
  allowed: TokenServicesOptions["services"],
): IssuedUntil {
  const fields = parseObject(body);
  const { access_token: token, token_type: type, expires_in: seconds } = fields;
  if (status !== 200) {
    const isRefusal = status === 400 || status === 401 || status === 403;
    throw new MicroError(
      isRefusal ? "unauthenticated" : "unavailable",
      `${url.origin}${url.pathname} issued no token: status ${status}${errorCode(fields.error)}`,
      { outcome: "not-executed" },
    );
  }
  if (typeof token !== "string" || String(type).toLowerCase() !== "bearer") {
    throw new MicroError(
      "unavailable",
      `${url.origin}${url.pathname} responded without a bearer token`,
      { outcome: "not-executed" },
    );
  }
  const lifeMs = Number(seconds ?? Number.NaN) * 1_000;
  return {
    credential: new BearerCredential(token, allowed),
    validMs: Number.isNaN(lifeMs) ? unstatedLifeMs : lifeMs,
  };
}

/** Only the code: a description may repeat what was sent. */
function errorCode(error: unknown): string {
  return typeof error === "string" && /^[a-z_]{1,64}$/.test(error) ? ` (${error})` : "";
}

/** The form in which RFC 6749 puts id and secret into the header. */
function formEncoded(value: string): string {
  return new URLSearchParams({ "": value }).toString().slice(1);
}

function parseObject(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
