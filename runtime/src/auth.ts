export { anyAuth } from "./auth/any/any-auth.ts";
export type {
  Auth,
  Authorizer,
  Credential,
  Decision,
  Rule,
  Rules,
  ScopeGrant,
} from "./auth/auth.ts";
export {
  type CertificateAuthOptions,
  certificateAuth,
} from "./auth/certificate/certificate-auth.ts";
export type { TrustBundle, TrustBundles } from "./auth/certificate/trust-bundles.ts";
export { type GoMicroAuthOptions, goMicroAuth } from "./auth/go-micro/go-micro-auth.ts";
export { type JwtAuthOptions, type JwtProfile, jwtAuth } from "./auth/jwt/jwt-auth.ts";
export {
  type EventPublisher,
  type PublishedEventKeys,
  type PublishedEventKeysOptions,
  publishedEventKeys,
} from "./auth/jwt/published-event-keys.ts";
export {
  type AccountInfo,
  type KeyInfo,
  type LocalAuth,
  localAuth,
} from "./auth/local/local-auth.ts";
export type { LocalAuthOptions } from "./auth/local/options.ts";
export { storedIssuer } from "./auth/local/stored-issuer.ts";
export { staticRules } from "./auth/static-rules/rules.ts";
export { type StoreRulesOptions, storeRules } from "./auth/store-rules/rules.ts";
export type { EventKey, EventKeySource } from "./broker/signed-events/event-keys.ts";
export type { EventSigner } from "./broker/signed-events/event-signature.ts";
export type { EventsOptions } from "./broker/signed-events/events-options.ts";
export { signedBroker } from "./broker/signed-events/signed-broker.ts";
export { type ClientSecretOptions, clientSecret } from "./client/credentials/client-secret.ts";
export {
  type ExchangeCallerOptions,
  exchangeCaller,
} from "./client/credentials/exchange-caller.ts";
export { fileToken } from "./client/credentials/file-token.ts";
export { forwardCaller } from "./client/credentials/forward-caller.ts";
export { staticToken, type TokenServicesOptions } from "./client/credentials/static-token.ts";
export { tokenSource } from "./client/credentials/token-source.ts";
