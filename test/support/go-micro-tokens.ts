/*
 * Tokens that go-micro itself has made: `auth/jwt/token` at commit 77fc793d5 (v6), `Generate` with
 * accounts of the namespace `go.micro`. Set the clock to `recordedAtMs` to verify them.
 */

/** Milliseconds since 1970. */
export const recordedAtMs = 1796080596000;

/** `MICRO_AUTH_PUBLIC_KEY` of the fleet, before it is encoded as base64. */
export const goMicroPublicKey = `-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAjrRlK8BUyqag2aADFFnJ
IhBacAjHHzbFDi7fTX2hN1zFPR5SCRJdzrfDLpz07r9FE7obByc8jLGfJXn1xTLR
kmjmxxwYmJWmZCNR7bNwrtaHa3ge7RMQRQ/6Xlad5Q3PnOJNqa0AVKxF1KrVFoKU
NyzytHSMyMOjeWg1Aw1IKubtpmmFexBgRH+8hQar5h+YpJJ+OscQvf80p1vOvZqI
fUylSD9W+gUxInRAH819oVRYo4oOf+Oczl9fkfSR1k2ytieUe0wimwUyCgjTgvjq
awyhiItHkGCnYRp7iGPqW7xWkuoWf81iH7mF8B0NzsjWo8HwmbON15hJq/9CagwP
twIDAQAB
-----END PUBLIC KEY-----
`;

export const goMicroTokens = {
  /** Type `service`, scopes and metadata; valid for 15 minutes. */
  service:
    "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJ0eXBlIjoic2VydmljZSIsInNjb3BlcyI6WyJzdG9jay5yZWFkIiwic3RvY2sud3JpdGUiXSwibWV0YWRhdGEiOnsicmVnaW9uIjoiZXUifSwiaXNzIjoiZ28ubWljcm8iLCJzdWIiOiJncmVldGVyIiwiZXhwIjoxNzk2MDgxNDk1fQ.Irdd07fLXgbv1-GTLXwUDVJfe8Jvfn2lm05W9BwhDpdY37RVwC4spZ9YIpi92M6tOp05ZyxCmmOZfyISFD5FUPP87zeLS6xR8QxUnT81VHufQknhh9NZ2ANx3cBkYkdi32haMTHv9YMYh9qNbfWagKETu9siSqPkymdqu0uzA3X7d47temXSqBO4cezzyfifK87U2fsFy5KudEyG67NE1et2h-tMN7FKWDM-ZdvY-wy7Nu45O4HZ8kmzy5LERrlN70so6dutpM2HOM6UDtAn5K62YdQVu6YUdizyOMq3xqskqxbPY4xj5MoJoOWWYdlRDg9sHWWL13wjPGCGX9qN1w",
  /** Only an id; valid for an hour. */
  bare: "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJ0eXBlIjoiIiwic2NvcGVzIjpudWxsLCJtZXRhZGF0YSI6bnVsbCwiaXNzIjoiZ28ubWljcm8iLCJzdWIiOiJqb2huIiwiZXhwIjoxNzk2MDg0MTk1fQ.KWgMkjue54HhQyHp2mYS4m5RDWayH38-MGITTgl_8cADEqw1DAQqd0vZ9xMtBPbEXJDHMQpdCqHwXYP-1ihMD1Ii6mEp_ko0R-0Kiird3kET5Rcf8_l-JC28Dv1wa7qTTQEER1dKmYeoISSkxE1E0RZXXfSj8X8MWHSC_3I6GLuEFwccnlH7lJge4F-JZN-TRnr4i9wkQbGQMKXIVN2n6aNWqIcyg3Y04FmD4ovRjBh2BT_Y6PCeVPc_2d01AL6MJVUqQfKRglF2412jqo_WFNkPbGWaTcvgvCH4uufUp06DmD3GoxNzr3MF6RrlUrRu_zUJ6rs9mHZqCMesrfQH-g",
  /** Of the namespace `other`; valid for ten years. */
  other:
    "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJ0eXBlIjoidXNlciIsInNjb3BlcyI6bnVsbCwibWV0YWRhdGEiOm51bGwsImlzcyI6Im90aGVyIiwic3ViIjoieCIsImV4cCI6MjExMTQ0MDU5NX0.FgLAxYemPILwmIUPFxXZxmtJQlKJgUo3DZdyP2FijGL5eK1E5xdouSCVhNVYE727wgtag1E7Lj8-9HRaN0TxdT3g6nIgR5HlQaWLFBB2J9tOhllg9VLT2YcEzuB0dkxzD8YC8ScYsgX4-Wr3AjGjzhrks7KTELCvUbsr68lmw0AyS-5cvNZbqkPsfl_wgiO7XGUIo5PWlDo4NfFxuz0Ht-M5UkvgNNs2SlGNJT2oJMF3MdQp3dUIhWjXHstAif54pw-kHSoXdadwyksSMVLxYvDKwZLLiHb-sKc8FoKhrPm5T68cif5So0A0-JIgUTSuCPpW-7g0eqamZSAoor29UA",
} as const;
