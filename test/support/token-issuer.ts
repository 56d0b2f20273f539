import {
  createHash,
  generateKeyPairSync,
  type JsonWebKey,
  type KeyObject,
  randomUUID,
  sign,
} from "node:crypto";

export type TokenAlgorithm = "EdDSA" | "ES256" | "RS256";

export interface IssuedKey {
  readonly kid: string;
  readonly algorithm: TokenAlgorithm;
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
  readonly jwk: JsonWebKey;
}

/** Changes to a valid token. A header or claim that is undefined is left out. */
export interface TokenInit {
  readonly key?: IssuedKey;
  readonly header?: Readonly<Record<string, unknown>>;
  readonly claims?: Readonly<Record<string, unknown>>;
}

/** An issuer of tokens that shares no code with the verifiers under test. */
export class TokenIssuer {
  readonly issuer: string;
  readonly audience: string;
  readonly keys: Readonly<Record<TokenAlgorithm, IssuedKey>> = {
    EdDSA: issuedKey("EdDSA"),
    ES256: issuedKey("ES256"),
    RS256: issuedKey("RS256"),
  };

  constructor(issuer = "https://issuer.example", audience = "stock") {
    this.issuer = issuer;
    this.audience = audience;
  }

  /** The public keys, as `/.well-known/jwks.json` has them. */
  get jwks(): readonly JsonWebKey[] {
    return Object.values(this.keys).map(({ jwk }) => jwk);
  }

  /** A valid token, unless what is given makes it another. */
  token({ key = this.keys.EdDSA, header, claims }: TokenInit = {}): string {
    const now = Math.floor(Date.now() / 1000);
    const allHeaders = { alg: key.algorithm, kid: key.kid, typ: "at+jwt", ...header };
    const allClaims = {
      iss: this.issuer,
      sub: "user:ada",
      aud: this.audience,
      iat: now,
      exp: now + 300,
      jti: randomUUID(),
      scope: "stock.read stock.write",
      ...claims,
    };
    return signedToken(JSON.stringify(allHeaders), JSON.stringify(allClaims), key);
  }
}

/** A key of its own, with its public JWK. */
export function issuedKey(
  algorithm: TokenAlgorithm,
  kid = `${algorithm}-${randomUUID()}`,
): IssuedKey {
  const { publicKey, privateKey } =
    algorithm === "EdDSA"
      ? generateKeyPairSync("ed25519")
      : algorithm === "ES256"
        ? generateKeyPairSync("ec", { namedCurve: "P-256" })
        : generateKeyPairSync("rsa", { modulusLength: 2048 });
  const jwk = { ...publicKey.export({ format: "jwk" }), kid, alg: algorithm, use: "sig" };
  return { kid, algorithm, publicKey, privateKey, jwk };
}

/** A token with exactly these texts. */
export function signedToken(
  header: string | Uint8Array,
  claims: string | Uint8Array,
  key: IssuedKey,
): string {
  const signed = `${base64url(header)}.${base64url(claims)}`;
  return `${signed}.${base64url(signature(signed, key))}`;
}

export function signature(text: string, { algorithm, privateKey }: IssuedKey): Buffer {
  const hash = algorithm === "EdDSA" ? null : "sha256";
  return sign(hash, Buffer.from(text), { key: privateKey, dsaEncoding: "ieee-p1363" });
}

export function base64url(data: string | Uint8Array): string {
  return Buffer.from(data as Uint8Array).toString("base64url");
}

/** The other texts that decode to the same signature: they differ in unused bits at the end. */
export function otherSpellings(token: string): readonly string[] {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const last = token.slice(token.lastIndexOf(".") + 1);
  const bytes = Buffer.from(last, "base64url");
  return [...alphabet]
    .map((character) => token.slice(0, -1) + character)
    .filter((other) => other !== token)
    .filter((other) => bytes.equals(Buffer.from(other.slice(-last.length), "base64url")));
}

/** The thumbprint by which the claim `cnf` names a certificate. */
export function thumbprint(der: Uint8Array): string {
  return createHash("sha256").update(der).digest("base64url");
}
