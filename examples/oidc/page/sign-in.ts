import * as oauth from "oauth4webapi";

/** What the page has to know. */
export interface PageSettings {
  readonly issuer: string;
  readonly clientId: string;
  /** Where the provider sends the browser back to. */
  readonly redirectUri: string;
  /** The service that tokens are for. */
  readonly resource: string;
  readonly notesUrl: string;
}

/** What must be kept while the browser is at the provider. */
export interface PendingSignIn {
  readonly state: string;
  readonly nonce: string;
  readonly verifier: string;
}

/** A person who has signed in. */
export interface SignedIn {
  readonly account: string;
  /** What the service may be asked for. */
  readonly scopes: readonly string[];
  readonly accessToken: string;
  /** Tells the page who signed in. It is not for the service, which refuses it. */
  readonly idToken: string;
}

/** Needed for a provider on this machine alone; others have TLS. */
const withoutTls = { [oauth.allowInsecureRequests]: true };

async function provider({ issuer }: PageSettings): Promise<oauth.AuthorizationServer> {
  const url = new URL(issuer);
  return oauth.processDiscoveryResponse(url, await oauth.discoveryRequest(url, withoutTls));
}

/**
 * Prepares a sign-in by authorization code with PKCE: the browser goes to the returned address.
 *
 * @param prompt `login` to choose an account again, though one has signed in before
 */
export async function beginSignIn(
  settings: PageSettings,
  prompt?: "login",
): Promise<{ url: URL; pending: PendingSignIn }> {
  const { authorization_endpoint: endpoint = "" } = await provider(settings);
  const pending: PendingSignIn = {
    state: oauth.generateRandomState(),
    nonce: oauth.generateRandomNonce(),
    verifier: oauth.generateRandomCodeVerifier(),
  };
  const url = new URL(endpoint);
  const parameters = {
    client_id: settings.clientId,
    redirect_uri: settings.redirectUri,
    response_type: "code",
    scope: "openid notes.read notes.write",
    resource: settings.resource,
    state: pending.state,
    nonce: pending.nonce,
    code_challenge: await oauth.calculatePKCECodeChallenge(pending.verifier),
    code_challenge_method: "S256",
    ...(prompt !== undefined && { prompt }),
  };
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  return { url, pending };
}

/**
 * Exchanges the code in the address that the browser came back to. Throws if the sign-in failed, or
 * is not the one that was begun.
 */
export async function finishSignIn(
  settings: PageSettings,
  pending: PendingSignIn,
  address: URL,
): Promise<SignedIn> {
  const server = await provider(settings);
  const client: oauth.Client = {
    client_id: settings.clientId,
    id_token_signed_response_alg: "ES256",
  };
  const callback = oauth.validateAuthResponse(server, client, address, pending.state);
  const response = await oauth.authorizationCodeGrantRequest(
    server,
    client,
    oauth.None(),
    callback,
    settings.redirectUri,
    pending.verifier,
    { ...withoutTls, additionalParameters: { resource: settings.resource } },
  );
  const tokens = await oauth.processAuthorizationCodeResponse(server, client, response, {
    expectedNonce: pending.nonce,
    requireIdToken: true,
  });
  return {
    account: oauth.getValidatedIdTokenClaims(tokens)?.sub ?? "",
    scopes: (tokens.scope ?? "").split(" ").filter((it) => it.startsWith("notes.")),
    accessToken: tokens.access_token,
    idToken: tokens.id_token ?? "",
  };
}
