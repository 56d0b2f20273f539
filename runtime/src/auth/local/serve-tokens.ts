import type { IncomingMessage, ServerResponse } from "node:http";
import { asMicroError, MicroError } from "../../base/error.ts";
import type { Token, TokenGrant, TokenOptions } from "../auth.ts";

/** The longest request, in bytes. */
const maxBodyBytes = 32 * 1024;

const exchangeGrant = "urn:ietf:params:oauth:grant-type:token-exchange";
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const accessTokenType = "urn:ietf:params:oauth:token-type:access_token";

/** Errors of OAuth 2.0 (RFC 6749, 5.2) by code. */
const errors: Readonly<Record<string, readonly [status: number, error: string]>> = {
  unauthenticated: [401, "invalid_client"],
  permission_denied: [400, "invalid_scope"],
  invalid_argument: [400, "invalid_request"],
  unimplemented: [400, "unsupported_grant_type"],
  resource_exhausted: [429, "temporarily_unavailable"],
  unavailable: [503, "temporarily_unavailable"],
};

/**
 * Serves a token endpoint of OAuth 2.0: client credentials with a secret or an assertion, refresh
 * tokens, and token exchange. `clientSecret` is a client of it.
 */
export async function serveTokens(
  request: IncomingMessage,
  response: ServerResponse,
  issue: (grant: TokenGrant) => Promise<Token>,
): Promise<void> {
  if (request.method !== "POST") {
    response.writeHead(405, { allow: "POST" }).end();
    return;
  }
  try {
    const parameters = await readForm(request);
    const grant = grantOf(parameters, request.headers.authorization);
    const token = await issue(grant);
    respond(response, 200, {
      access_token: token.accessToken,
      token_type: "Bearer",
      expires_in: Math.max(0, Math.floor((token.expiresAtMs - Date.now()) / 1_000)),
      scope: token.scopes.join(" "),
      ...(token.refreshToken !== undefined && { refresh_token: token.refreshToken }),
      ...(grant.grant === "exchange" && { issued_token_type: accessTokenType }),
    });
  } catch (reason) {
    const { code, message, retryAfterMs } = asMicroError(reason, "internal");
    const [status, error] = errors[code] ?? [500, "server_error"];
    const headers: Record<string, string> = {};
    if (status === 401) headers["www-authenticate"] = "Basic";
    if (retryAfterMs !== undefined) headers["retry-after"] = `${Math.ceil(retryAfterMs / 1_000)}`;
    // The text of another failure may be about the store.
    const description = status < 500 ? { error_description: message } : {};
    respond(response, status, { error, ...description }, headers);
  }
}

async function readForm(request: IncomingMessage): Promise<URLSearchParams> {
  if (!/^application\/x-www-form-urlencoded\b/i.test(request.headers["content-type"] ?? "")) {
    throw invalid("the content type must be application/x-www-form-urlencoded");
  }
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBodyBytes) throw invalid(`the request has more than ${maxBodyBytes} bytes`);
    chunks.push(chunk);
  }
  const parameters = new URLSearchParams(Buffer.concat(chunks).toString("utf8"));
  for (const name of new Set(parameters.keys())) {
    const isRepeatable = name === "audience" || name === "resource";
    if (!isRepeatable && parameters.getAll(name).length > 1) {
      throw invalid(`the parameter ${name.slice(0, 64)} is there twice`);
    }
  }
  return parameters;
}

function grantOf(parameters: URLSearchParams, authorization: string | undefined): TokenGrant {
  const text = (name: string) => parameters.get(name) ?? "";
  const options = optionsOf(parameters);
  switch (text("grant_type")) {
    case "client_credentials":
      if (parameters.has("client_assertion")) {
        if (text("client_assertion_type") !== assertionType) {
          throw invalid(`client_assertion_type must be ${assertionType}`);
        }
        return { grant: "assertion", assertion: text("client_assertion"), ...options };
      }
      return { grant: "secret", ...clientOf(parameters, authorization), ...options };
    case "refresh_token":
      return { grant: "refresh", refreshToken: text("refresh_token"), ...options };
    case exchangeGrant: {
      const actorToken = parameters.get("actor_token");
      return {
        grant: "exchange",
        subjectToken: text("subject_token"),
        ...(actorToken !== null && { actorToken }),
        ...options,
      };
    }
    default:
      throw new MicroError("unimplemented", "there is no such grant_type");
  }
}

function optionsOf(parameters: URLSearchParams): TokenOptions {
  const audience = [...parameters.getAll("audience"), ...parameters.getAll("resource")];
  const scopes = (parameters.get("scope") ?? "").split(" ").filter((scope) => scope !== "");
  return {
    ...(audience.length > 0 && { audience }),
    ...(scopes.length > 0 && { scopes }),
  };
}

/** Id and secret of the header, where both are form-encoded (RFC 6749, 2.3.1), or of the body. */
function clientOf(parameters: URLSearchParams, authorization: string | undefined) {
  if (authorization === undefined) {
    return {
      id: parameters.get("client_id") ?? "",
      secret: parameters.get("client_secret") ?? "",
    };
  }
  const [, encoded = ""] = /^basic +([A-Za-z0-9+/]+=*) *$/i.exec(authorization) ?? [];
  const [id = "", ...secret] = Buffer.from(encoded, "base64").toString("utf8").split(":");
  return { id: formDecoded(id), secret: formDecoded(secret.join(":")) };
}

function formDecoded(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    throw invalid("the authorization header is not form-encoded");
  }
}

function respond(
  response: ServerResponse,
  status: number,
  content: object,
  headers: Readonly<Record<string, string>> = {},
): void {
  const body = JSON.stringify(content);
  response.writeHead(status, {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(body),
    "cache-control": "no-store",
    ...headers,
  });
  response.end(body);
}

function invalid(message: string): MicroError {
  return new MicroError("invalid_argument", message, { outcome: "not-executed" });
}
