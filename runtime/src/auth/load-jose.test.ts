import { expect, test, vi } from "vitest";
import { issuedKey } from "../../../test/support/token-issuer.ts";
import { jwtAuth } from "./jwt/jwt-auth.ts";

vi.mock("jose", () => {
  throw new Error("Cannot find package 'jose'");
});

test("without its library an Auth does not open, and says what to install", async () => {
  const { jwk } = issuedKey("EdDSA");
  const auth = jwtAuth({ issuer: "https://a.example", audience: "a", keys: [jwk] });
  await expect(auth.open?.()).rejects.toMatchObject({
    code: "failed_precondition",
    message: expect.stringContaining("npm install jose@6"),
  });
});
