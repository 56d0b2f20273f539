/** An attack on auth, what must become of it, and the tests that hold it to that. */
export interface Attack {
  readonly attack: string;
  readonly must: string;
  /** Files, and the words of a test in each. */
  readonly heldBy: readonly (readonly [file: string, title: string])[];
}

const badTokens = [
  ["runtime/src/auth/jwt/bad-tokens.test.ts", "every bad token is refused, without a request"],
  ["test/faults/auth/suite.ts", "AU4-planted"],
] as const;
const unit = "runtime/src/auth";
const everyProtocol = "test/auth/access-suite.ts";

/** All attacks. `npm test -- test/auth` and the suite of faults run their tests. */
export const attacks: readonly Attack[] = [
  {
    attack:
      "alg none in any case, an empty signature; HS256 with the public key as PEM, DER or JWK",
    must: "refused",
    heldBy: badTokens,
  },
  {
    attack: "kid as a path, SQL, a URL, __proto__ or 64 KiB; jwk, jku and x5u in the header",
    must: "refused, without a request",
    heldBy: badTokens,
  },
  { attack: "ES256 with r or s of 0, or in DER", must: "refused", heldBy: badTokens },
  {
    attack: "exp as a text, negative, 1e309, a list, or twice",
    must: "refused",
    heldBy: badTokens,
  },
  { attack: "aud as part of a text, a number, or nested", must: "refused", heldBy: badTokens },
  {
    attack: "10,000 unknown kids a second",
    must: "one request in 30 s at most",
    heldBy: [
      [
        `${unit}/jwt/jwks-source.test.ts`,
        "10,000 unknown ids make a request each 30 seconds at most",
      ],
    ],
  },
  {
    attack: "a key set that hangs, has 10 MB, is HTML, or redirects to cloud metadata",
    must: "old keys serve, and the redirect is not followed",
    heldBy: [
      [
        "test/auth/bad-key-sets.test.ts",
        "while the server of the keys %s, the known keys serve, and no others",
      ],
      [`${unit}/jwt/key-set-origin.test.ts`, "a redirect is not followed"],
    ],
  },
  {
    attack: "a TLS ticket after the certificate has expired, or of another client",
    must: "a full handshake",
    heldBy: [
      [
        "runtime/src/transport/certificates.test.ts",
        "the session of an expired certificate cannot be resumed",
      ],
      [
        "runtime/src/transport/tls.test.ts",
        "a session is not resumed where client certificates are required",
      ],
    ],
  },
  {
    attack:
      "two URI SANs; a SAN with a comma, quote or NUL; DNS:URI:…; a CA as leaf; another domain",
    must: "refused",
    heldBy: [
      [`${unit}/certificate/certificate-auth.test.ts`, "with two URIs"],
      [`${unit}/certificate/certificate-auth.test.ts`, "whose URI has a NUL"],
      [
        "test/auth/certificate.test.ts",
        "a certificate is the account of its connection; its issuers are verified by the bundle",
      ],
    ],
  },
  {
    attack: "an event on another topic, changed, unsigned, or signed by another key",
    must: "refused at the port, and rejected by every broker",
    heldBy: [
      [
        "runtime/src/broker/signed-events/guarded-port.test.ts",
        "are refused at the port unless their publisher has signed them",
      ],
      [
        "runtime/src/broker/signed-events/signed-broker.test.ts",
        "other events are rejected for good",
      ],
      [
        "runtime/src/broker/signed-events/signed-broker.test.ts",
        "an event is rejected when another changes %s",
      ],
    ],
  },
  {
    attack: "an unsigned event to a service with auth that does not verify events",
    must: "no such service starts where other machines reach its port, unless it says so",
    heldBy: [
      ["test/auth/event-port.test.ts", "does not start without a decision"],
      ["test/auth/event-port.test.ts", "does not subscribe later either"],
    ],
  },
  {
    attack: "the token of the debug service, presented to other methods",
    must: "opens nothing else, whatever rules grant",
    heldBy: [["test/auth/debug-token.test.ts", "opens nothing else by the token"]],
  },
  {
    attack: "an unknown method, without an account",
    must: "no names, and the refusal of a method that exists",
    heldBy: [[everyProtocol, "only callers that may call methods learn their names"]],
  },
  {
    attack: "a certificate that expires on an open connection",
    must: "closed within 30 s",
    heldBy: [
      ["runtime/src/transport/certificates.test.ts", "of a client ends its open connection"],
      [
        "test/auth/certificate.test.ts",
        "a connection ends with its certificate, also where only the bundle verifies it",
      ],
    ],
  },
  {
    attack: "rules that are emptied or broken; a store that is gone",
    must: "the last good ones; without any, denied",
    heldBy: [
      [
        `${unit}/store-rules/rules.test.ts`,
        "deny everything as long as none were loaded that can be used",
      ],
      [`${unit}/store-rules/rules.test.ts`, "stay in force when the store is closed"],
    ],
  },
  {
    attack: "names in another case, with //, %2f or a trailing dot, of another package",
    must: "the same decision over every protocol",
    heldBy: [
      ["test/auth/names.test.ts", "is not a way around the scope of"],
      [everyProtocol, "no other spelling of a name is a way around what is said about it"],
      ["test/faults/auth/suite.ts", "AU5-planted"],
    ],
  },
  {
    attack: "a revoked token with another last character",
    must: "refused",
    heldBy: [
      [
        `${unit}/jwt/jwt-auth.test.ts`,
        "jose accepts a signature whose last character was changed, and jwtAuth does not",
      ],
      [everyProtocol, "a revocation ends an open stream, for its caller and for its handler"],
    ],
  },
  {
    attack: "an access token as refresh token, and the reverse",
    must: "refused",
    heldBy: [[`${unit}/local/local-auth.test.ts`, "do not work as access tokens, nor the reverse"]],
  },
  {
    attack: "one refresh token 1,000 times at once",
    must: "one success, and its family ends",
    heldBy: [
      [
        `${unit}/local/local-auth.test.ts`,
        "one refresh token used 1,000 times at once succeeds once, and its family ends",
      ],
    ],
  },
  {
    attack: "a registry that points a service at a host with a valid certificate of its own",
    must: "no credential arrives",
    heldBy: [
      [
        "runtime/src/client/credentials/sent-to.test.ts",
        "none reaches a host with a valid certificate of its own, to which the registry points",
      ],
    ],
  },
  {
    attack: "a token that is bound to a certificate, on another connection",
    must: "refused, also where its account is known",
    heldBy: [
      [
        "test/auth/bound-token.test.ts",
        "a token that is bound to a certificate proves nothing on another connection",
      ],
    ],
  },
  {
    attack: "metadata micro-account and x-forwarded-*; a foreign Micro-Namespace",
    must: "ignored; refused",
    heldBy: [
      [everyProtocol, "metadata that claims an account or a namespace changes nothing"],
      ["test/auth/go-micro.test.ts", "another namespace chooses nothing"],
    ],
  },
  {
    attack: "a canary token in logs, errors, traces, statistics, dead letters and inspect",
    must: "shows nowhere",
    heldBy: [
      [
        "test/auth/canary.test.ts",
        "a token shows nowhere: not in logs, errors, contexts, statistics or dead letters",
      ],
      ["runtime/src/client/credentials/sources.test.ts", "no source shows what it presents"],
      [`${unit}/local/local-auth.test.ts`, "are never in a log"],
    ],
  },
  {
    attack: "a clock that is set back by an hour, or on by ten years",
    must: "revives nothing",
    heldBy: [
      [
        "test/auth/clock.test.ts",
        "a clock that is set back by an hour, or on by ten years and back, revives no token",
      ],
      [`${unit}/local/local-auth.test.ts`, "that have expired stay so when the clock is set back"],
    ],
  },
  {
    attack: "the time of a refusal, to tell unknown accounts from wrong secrets",
    must: "one text and one hash for each",
    heldBy: [
      [
        `${unit}/local/local-auth.test.ts`,
        "an unknown account and a wrong secret have one text, and cost one hash each",
      ],
      ["test/faults/auth/suite.ts", "AU9-planted"],
    ],
  },
  {
    attack: "CREDENTIAL 0 or 65, before HELLO, or from the server; two credentials of one call",
    must: "the connection ends; the call is refused",
    heldBy: [
      ["runtime/src/transport/native/credentials.test.ts", "the number 0"],
      ["runtime/src/transport/native/credentials.test.ts", "a number over the limit"],
      ["runtime/src/transport/native/credentials.test.ts", "a credential before HELLO"],
      ["runtime/src/transport/native/credentials.test.ts", "a credential from the server"],
      [
        "runtime/src/transport/native/credentials.test.ts",
        "a call with a credential by number and another as metadata is refused",
      ],
    ],
  },
  {
    attack: "a credential that is renewed, cancelled or denied by a rule while it is verified",
    must: "each call has the credential of its time, and none runs that may not",
    heldBy: [
      [
        "test/auth/renewed-credentials.test.ts",
        "a call has the credential that its number had when it came",
      ],
      [
        "test/auth/renewed-credentials.test.ts",
        "calls that are cancelled while they wait for their credential are not executed",
      ],
      [
        "test/auth/renewed-credentials.test.ts",
        "a stream whose method a rule denies while its credential is verified does not begin",
      ],
      ["test/auth/renewed-credentials.test.ts", "is verified in bounds"],
    ],
  },
  {
    attack: "a request that is begun before its credential is revoked, and ended after",
    must: "not executed",
    heldBy: [
      [
        "test/auth/slow-body.test.ts",
        "a call whose body comes after its credential was revoked is not executed",
      ],
    ],
  },
  {
    attack: "two authorization lines, Basic, no token, more than 8 KiB, a comma",
    must: "refused, also where no credential is needed",
    heldBy: [
      [everyProtocol, "is refused everywhere, also where none is needed"],
      [everyProtocol, "two credentials are refused, even if both are valid"],
    ],
  },
  {
    attack:
      "a key set with a kid twice, private or symmetric keys, weak RSA, a point off the curve",
    must: "those keys are left out",
    heldBy: [
      [`${unit}/jwt/key-set.test.ts`, "%s is left out, and the others are used"],
      [`${unit}/jwt/key-set.test.ts`, "several keys with one kid are left out"],
    ],
  },
];
