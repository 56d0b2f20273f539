import { randomBytes } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { exportJWK, generateKeyPair } from "jose";
import { type Configuration, Provider } from "oidc-provider";
import { type HttpServer, listen } from "./http-server.ts";
import { MemoryAdapter } from "./memory-adapter.ts";
import { signInPage } from "./sign-in-page.ts";

/** The name of the service in tokens: their claim `aud`. */
export const audience = "urn:example:notes";

/** The page, as the provider knows it. It cannot keep a secret, so it has none. */
export const clientId = "notes-page";

/** The accounts of the provider, and what each of them may do. */
export const accounts: Readonly<Record<string, { name: string; scopes: readonly string[] }>> = {
  ada: { name: "Ada", scopes: ["notes.read", "notes.write"] },
  bob: { name: "Bob", scopes: ["notes.read"] },
};

const allScopes = "notes.read notes.write";

/** Where the provider listens, and where it sends browsers after a sign-in. */
export interface ProviderOptions {
  readonly port: number;
  readonly redirectUri: string;
}

/**
 * Starts an OpenID provider that lets everyone in: its page has a button for each account and asks
 * for no password. Keys and sessions end with the process.
 */
export async function startProvider({ port, redirectUri }: ProviderOptions): Promise<HttpServer> {
  // The issuer is the address, which is known when the port is.
  const server = await listen(port);
  const provider = new Provider(server.url, await configuration(redirectUri));
  provider.use(async (ctx, next) => {
    if (!ctx.path.startsWith("/sign-in/")) return next();
    if (ctx.method === "GET") {
      ctx.type = "html";
      ctx.body = await signInPage(accounts);
      return;
    }
    const accountId = (await form(ctx.req)).get("account") ?? "";
    if (accounts[accountId] === undefined) ctx.throw(400, "there is no such account");
    const result = { login: { accountId } };
    ctx.redirect(await provider.interactionResult(ctx.req, ctx.res, result));
  });
  server.serve(provider.callback());
  return server;
}

async function configuration(redirectUri: string): Promise<Configuration> {
  const { privateKey } = await generateKeyPair("ES256", { extractable: true });
  const key = { ...(await exportJWK(privateKey)), alg: "ES256", use: "sig", kid: "1" };
  return {
    adapter: MemoryAdapter,
    jwks: { keys: [key] },
    cookies: { keys: [randomBytes(32).toString("base64url")] },
    clients: [
      {
        client_id: clientId,
        redirect_uris: [redirectUri],
        token_endpoint_auth_method: "none",
        grant_types: ["authorization_code"],
        response_types: ["code"],
        id_token_signed_response_alg: "ES256",
      },
    ],
    // The page exchanges its code from another origin.
    clientBasedCORS: (_ctx, origin) => origin === new URL(redirectUri).origin,
    findAccount: (_ctx, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
    interactions: { url: (_ctx, { uid }) => `/sign-in/${uid}` },
    ttl: {
      AccessToken: 5 * 60,
      IdToken: 5 * 60,
      Interaction: 10 * 60,
      Session: 8 * 60 * 60,
      Grant: 8 * 60 * 60,
    },
    features: {
      devInteractions: { enabled: false },
      // An access token is a JWT for the service that the page names in its request.
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: () => ({
          scope: allScopes,
          audience,
          accessTokenFormat: "jwt",
          jwt: { sign: { alg: "ES256" } },
        }),
        useGrantedResource: () => true,
      },
    },
    // Each account gets what it may do of what the page asks for, and is not asked for consent.
    async loadExistingGrant({ oidc }) {
      const accountId = oidc.session?.accountId ?? "";
      const grant = new oidc.provider.Grant({ clientId, accountId });
      const { scopes = [] } = accounts[accountId] ?? {};
      grant.addOIDCScope("openid");
      grant.addResourceScope(audience, scopes.join(" "));
      const refused = allScopes.split(" ").filter((scope) => !scopes.includes(scope));
      if (refused.length > 0) grant.rejectResourceScope(audience, refused.join(" "));
      await grant.save();
      return grant;
    },
  };
}

async function form(request: IncomingMessage): Promise<URLSearchParams> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  return new URLSearchParams(Buffer.concat(chunks).toString());
}
