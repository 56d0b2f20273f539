export { type JwtAuthOptions, jwtAuth } from "./auth/jwt/jwt-auth.ts";
export { staticRules } from "./auth/static-rules/rules.ts";
export { type StoreRulesOptions, storeRules } from "./auth/store-rules/rules.ts";
