import { createHmac } from "node:crypto";
import {
  base64url,
  type IssuedKey,
  issuedKey,
  otherSpellings,
  signature,
  signedToken,
  type TokenIssuer,
} from "./token-issuer.ts";

/** A token that must be refused, and the reason. */
export interface BadToken {
  readonly name: string;
  readonly token: string;
}

/**
 * Tokens that differ from valid ones in one respect each; with the keys of the issuer wherever that
 * is possible, so that a signature alone never saves a verifier.
 *
 * @param trap a URL that no verifier may request
 */
export function badTokens(issuer: TokenIssuer, trap: string): readonly BadToken[] {
  const kinds = { ...algorithms(issuer), ...headers(issuer, trap), ...claims(issuer) };
  const all = { ...kinds, ...signatures(issuer), ...forms(issuer), ...jsons(issuer) };
  return Object.entries(all).map(([name, token]) => ({ name, token }));
}

type Tokens = Record<string, string>;

function algorithms(issuer: TokenIssuer): Tokens {
  const tokens: Tokens = {};
  const keys = Object.values(issuer.keys);
  const names = ["none", "None", "NoNe", "NONE", "", "eddsa", "HS256", "HS384", "HS512", "PS256"];
  const others = ["RS384", "RS512", "ES384", "ES512", "ES256K", "Ed448", "RSA1_5", "dir"];
  for (const key of keys) {
    const wrong = keys.filter((it) => it !== key).map(({ algorithm }) => algorithm);
    for (const alg of [
      ...names,
      ...others,
      ...wrong,
      null,
      1,
      true,
      {},
      [key.algorithm],
      undefined,
    ]) {
      tokens[`alg ${JSON.stringify(alg)} by ${key.algorithm}`] = issuer.token({
        key,
        header: { alg },
      });
    }
    for (const alg of ["none", "NoNe"]) {
      const unsigned = issuer.token({ key, header: { alg } }).replace(/[^.]*$/, "");
      tokens[`${alg} without a signature, kid of ${key.algorithm}`] = unsigned;
    }
    const secrets = {
      PEM: key.publicKey.export({ type: "spki", format: "pem" }),
      "PEM without the last line break": String(
        key.publicKey.export({ type: "spki", format: "pem" }),
      ).trim(),
      DER: key.publicKey.export({ type: "spki", format: "der" }),
      JWK: JSON.stringify(key.jwk),
      "x or n": Buffer.from(String(key.jwk.x ?? key.jwk.n), "base64url"),
      "an empty secret": "",
    };
    for (const [name, secret] of Object.entries(secrets)) {
      const signed = issuer.token({ key, header: { alg: "HS256" } }).replace(/\.[^.]*$/, "");
      const mac = createHmac("sha256", secret).update(signed).digest("base64url");
      tokens[`HS256 with the public key of ${key.algorithm} as ${name}`] = `${signed}.${mac}`;
    }
  }
  return tokens;
}

function headers(issuer: TokenIssuer, trap: string): Tokens {
  const tokens: Tokens = {};
  const own = issuedKey("EdDSA");
  const key = issuer.keys.EdDSA;
  const add = (name: string, header: object, by: IssuedKey = key): void => {
    tokens[name] = issuer.token({ key: by, header: { ...header } });
  };
  const ids = [
    ...[undefined, null, "", 1, true, [key.kid], {}, "k".repeat(65), "k".repeat(64 * 1_024)],
    ...["../../../../etc/passwd", "/dev/null", "' OR '1'='1", "1; DROP TABLE keys", trap],
    ...["__proto__", "constructor", "toString", "hasOwnProperty", "\u0000", `${key.kid}\n`],
    ...[` ${key.kid}`, key.kid.toUpperCase(), key.kid.slice(0, -1), `${key.kid}\u0000`, "*"],
  ];
  for (const kid of ids) add(`kid ${JSON.stringify(kid)?.slice(0, 60)}`, { kid });
  for (const other of Object.values(issuer.keys)) {
    if (other !== key) add(`kid of ${other.algorithm} for EdDSA`, { kid: other.kid });
    add(`a key of its own under the kid of ${other.algorithm}`, { kid: other.kid }, own);
  }
  const types = [undefined, null, "", 1, ["at+jwt"], "JWT", "jwt", "id+jwt", "rt+jwt", "event+jwt"];
  for (const typ of [...types, "at+jwt ", "at+jwt;v=1", "application/application/at+jwt", "at"]) {
    add(`typ ${JSON.stringify(typ)}`, { typ });
  }
  const certificate = [Buffer.from("certificate").toString("base64")];
  const sources: Record<string, readonly unknown[]> = {
    jku: [trap, null, ""],
    jwk: [own.jwk, key.jwk, null],
    x5u: [trap, null],
    x5c: [certificate, [], null],
    crit: [["exp"], ["b64"], [], ["http://invalid.example/claim"], null],
    b64: [false, true],
    zip: ["DEF"],
    enc: ["A256GCM"],
  };
  for (const [name, values] of Object.entries(sources)) {
    for (const value of values) {
      add(`header ${name} ${JSON.stringify(value).slice(0, 40)}`, { [name]: value });
      add(`header ${name} ${JSON.stringify(value).slice(0, 40)}, own key`, { [name]: value }, own);
    }
  }
  return tokens;
}

function claims(issuer: TokenIssuer): Tokens {
  const now = Math.floor(Date.now() / 1_000);
  const { issuer: iss, audience: aud } = issuer;
  const nothing = [undefined, null, "", true, {}, []];
  const values: Record<string, readonly unknown[]> = {
    iss: [
      ...nothing,
      ...[1, [iss], `${iss}/`, iss.toUpperCase(), iss.slice(0, -1), ` ${iss}`, `${iss}\u0000`],
      ...[`${iss}@evil.example`, "https://evil.example", iss.replace("https", "http")],
    ],
    sub: [...nothing, 1, ["user:ada"], "s".repeat(257)],
    aud: [
      ...nothing,
      ...[1, [1, aud], [[aud]], { [aud]: aud }, aud.slice(0, -1), `${aud}2`, aud.toUpperCase()],
      ...[["other"], `other ${aud}`, `${aud},other`, [`${aud} `], "*", [null, aud]],
    ],
    exp: [
      ...nothing,
      ...[`${now + 300}`, "9e9", -1, 0, [now + 300], now - 31, now - 3_600, now + 86_402, 9e9],
      ...[2 ** 53, 1e300, (now + 300) * 1_000],
    ],
    iat: [...nothing, `${now}`, -1, now + 60, now + 301, now - 86_400, [now], 1e300],
    nbf: [null, "", true, `${now}`, now + 60, -1, [now]],
    jti: [...nothing, 1, ["id"], "j".repeat(257)],
    cnf: [
      ...[null, "", 1, {}, [], { jkt: "thumbprint" }, { jwk: {} }, { kid: "key" }],
      ...[{ "x5t#S256": "A".repeat(43) }, { "x5t#S256": null }, { "x5t#S256": "" }],
      { "x5t#S256": "A".repeat(43), jkt: "thumbprint" },
    ],
    act: [null, "service:order", 1, {}, [], { sub: 1 }, { sub: "" }, nestedActor(10)],
    scope: [null, 1, true, ["stock.read"], {}],
    type: [null, 1, true, ["user"], {}],
  };
  const keys = Object.values(issuer.keys);
  const tokens: Tokens = {};
  for (const [name, wrong] of Object.entries(values)) {
    for (const [index, value] of wrong.entries()) {
      const text = `${JSON.stringify(value)}`.slice(0, 60);
      const key = keys[index % keys.length]!;
      tokens[`${name} ${text}, number ${index}`] = issuer.token({ key, claims: { [name]: value } });
    }
  }
  for (const scopes of ["stock.read", 1, [1], [["stock.read"]], {}]) {
    const stated = { scope: undefined, scopes };
    tokens[`scopes ${JSON.stringify(scopes)}`] = issuer.token({ claims: stated });
  }
  return tokens;
}

function nestedActor(depth: number): object {
  return depth === 0 ? { sub: "a" } : { sub: "a", act: nestedActor(depth - 1) };
}

function signatures(issuer: TokenIssuer): Tokens {
  const tokens: Tokens = {};
  for (const key of Object.values(issuer.keys)) {
    const token = issuer.token({ key });
    const signed = token.slice(0, token.lastIndexOf("."));
    const bytes = signature(signed, key);
    const add = (name: string, changed: Uint8Array): void => {
      tokens[`${key.algorithm}: ${name}`] = `${signed}.${base64url(changed)}`;
    };
    add("a byte less", bytes.subarray(1));
    add("a byte more", Buffer.concat([bytes, Buffer.of(0)]));
    add("a byte before", Buffer.concat([Buffer.of(0), bytes]));
    add("zeros", Buffer.alloc(bytes.length));
    add("ones", Buffer.alloc(bytes.length, 255));
    add("reversed", Buffer.from(bytes).reverse());
    add("twice", Buffer.concat([bytes, bytes]));
    add("of other claims", signature(`${signed}x`, key));
    add("of the claims alone", signature(signed.slice(signed.indexOf(".") + 1), key));
    tokens[`${key.algorithm}: another key`] = `${signed}.${base64url(
      signature(signed, issuedKey(key.algorithm)),
    )}`;
    for (const other of otherSpellings(token)) {
      tokens[`${key.algorithm}: another last character ${other.at(-1)}`] = other;
    }
    if (key.algorithm !== "ES256") continue;
    const [r, s] = [bytes.subarray(0, 32), bytes.subarray(32)];
    const order = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    const n = Buffer.from(order, "hex");
    add("r = 0", Buffer.concat([Buffer.alloc(32), s]));
    add("s = 0", Buffer.concat([r, Buffer.alloc(32)]));
    add("r = s = n", Buffer.concat([n, n]));
    add("r and s swapped", Buffer.concat([s, r]));
    const integer = (it: Buffer): Buffer => {
      const value = it[0]! > 127 ? Buffer.concat([Buffer.of(0), it]) : it;
      return Buffer.concat([Buffer.of(2, value.length), value]);
    };
    const pair = Buffer.concat([integer(r), integer(s)]);
    add("DER", Buffer.concat([Buffer.of(0x30, pair.length), pair]));
  }
  return tokens;
}

function forms(issuer: TokenIssuer): Tokens {
  const token = issuer.token();
  const [header, payload, signed] = token.split(".") as [string, string, string];
  const tokens: Tokens = {
    "an empty text": "",
    "one dot": ".",
    "two dots": "..",
    "three dots": "...",
    "two parts": `${header}.${payload}`,
    "four parts": `${token}.`,
    "four parts, the last one full": `${token}.${signed}`,
    "five parts": `${token}.${payload}.${signed}`,
    "twenty parts": `${token}${".".repeat(18)}`,
    "no header": `.${payload}.${signed}`,
    "no payload": `${header}..${signed}`,
    "no signature": `${header}.${payload}.`,
    "a BOM before": `\ufeff${token}`,
    "NUL after": `${token}\u0000`,
    "NUL within": `${header}.${payload}\u0000.${signed}`,
    "a line break after": `${token}\n`,
    "a line break within": `${header}.\n${payload}.${signed}`,
    "a space before": ` ${token}`,
    "a space after": `${token} `,
    "padded signature": `${token}==`,
    "padded header": `${header}=.${payload}.${signed}`,
    "percent-encoded dots": token.replaceAll(".", "%2e"),
    "the scheme once more": `Bearer ${token}`,
    "JSON serialization": JSON.stringify({ protected: header, payload, signature: signed }),
    "two tokens": `${token}${token}`,
    "two tokens and a comma": `${token},${token}`,
    "upper case": token.toUpperCase(),
    "8 KiB + 1": issuer.token({ claims: { note: "n".repeat(8 * 1_024) } }),
    "a payload of 1 MiB": issuer.token({ claims: { note: "n".repeat(1024 * 1_024) } }),
    "a header over 1 KiB": issuer.token({ header: { note: "n".repeat(1_024) } }),
  };
  const standard = issuer.token({ claims: { note: "\u00ff\u00fe???>>>" } });
  tokens["standard base64"] = standard.replaceAll("-", "+").replaceAll("_", "/");
  if (tokens["standard base64"] === standard) delete tokens["standard base64"];
  // The text that was signed decides: other spellings of header and payload have no signature.
  for (const part of [0, 1]) {
    const texts = token.split(".");
    texts[part] = `${texts[part]!.slice(0, -1)}${texts[part]!.endsWith("A") ? "B" : "A"}`;
    tokens[`another last character in part ${part}`] = texts.join(".");
  }
  return tokens;
}

/** Texts that several parsers of JSON accept, or read differently. */
function jsons(issuer: TokenIssuer): Tokens {
  const key = issuer.keys.EdDSA;
  const [headerText, claimsText] = issuer
    .token()
    .split(".")
    .map((part) => Buffer.from(part, "base64url").toString()) as [string, string];
  const variants = (
    text: string,
    name: string,
    value: string,
  ): Record<string, string | Uint8Array> => ({
    [`${name} twice`]: text.replace("{", `{"${name}":${value},`),
    [`${name} twice, once escaped`]: text.replace(
      "{",
      `{"\\u${name.charCodeAt(0).toString(16).padStart(4, "0")}${name.slice(1)}":${value},`,
    ),
    __proto__: text.replace("{", '{"__proto__":{"admin":true},'),
    "a list": `[${text}]`,
    "a text": JSON.stringify(text),
    null: "null",
    "a number": "1",
    nothing: " ",
    "two objects": `${text}${text}`,
    "a comma at the end": text.replace(/}$/, ",}"),
    "a comment": text.replace("{", "{/* */"),
    "single quotes": text.replaceAll('"', "'"),
    "a BOM": `\ufeff${text}`,
    "NUL at the end": `${text}\u0000`,
    "invalid UTF-8": Buffer.concat([
      Buffer.from(text.replace(/}$/, ',"note":"')),
      Buffer.of(0xc3, 0x28),
      Buffer.from('"}'),
    ]),
    "UTF-16": Buffer.from(text, "utf16le"),
  });
  const tokens: Tokens = {};
  const add = (name: string, header: string | Uint8Array, payload: string | Uint8Array): void => {
    tokens[name] = signedToken(header, payload, key);
  };
  for (const name of ["alg", "kid", "typ"]) {
    const value = JSON.stringify(JSON.parse(headerText)[name]);
    for (const [what, text] of Object.entries(variants(headerText, name, value))) {
      add(`header: ${what}`, text, claimsText);
    }
  }
  for (const name of ["iss", "sub", "aud", "exp", "iat", "jti", "scope"]) {
    const value = JSON.stringify(JSON.parse(claimsText)[name]);
    for (const [what, text] of Object.entries(variants(claimsText, name, value))) {
      add(`payload: ${what}`, headerText, text);
    }
  }
  const far = claimsText.replace(/"exp":\d+/, '"exp":1e309');
  add("exp 1e309", headerText, far);
  add("exp -0", headerText, claimsText.replace(/"exp":\d+/, '"exp":-0'));
  add("exp NaN", headerText, claimsText.replace(/"exp":\d+/, '"exp":NaN'));
  add("iat 1e309", headerText, claimsText.replace(/"iat":\d+/, '"iat":1e309'));
  add("iat -1e309", headerText, claimsText.replace(/"iat":\d+/, '"iat":-1e309'));
  return tokens;
}
