import { generateKeyPairSync } from "node:crypto";
import {
  createService,
  memoryBroker,
  memoryRegistry,
  memoryStore,
  silentLogger,
} from "@micro-es/runtime";
import { type Auth, anyAuth, goMicroAuth, jwtAuth, localAuth } from "@micro-es/runtime/auth";
import { expect, test, vi } from "vitest";
import { issuedKey } from "../../../test/support/token-issuer.ts";

vi.mock("jose", () => {
  throw new Error("Cannot find package 'jose'");
});

const rsa = generateKeyPairSync("rsa", { modulusLength: 2_048 })
  .publicKey.export({ type: "spki", format: "pem" })
  .toString();
const { jwk } = issuedKey("EdDSA");
const jwt = (): Auth => jwtAuth({ issuer: "https://a.example", audience: "a", keys: [jwk] });
const local = (): Auth => localAuth({ store: memoryStore(), issuer: "acme", logger: silentLogger });

test.each<[name: string, create: () => Auth]>([
  ["jwtAuth", jwt],
  ["localAuth", local],
  ["goMicroAuth", () => goMicroAuth({ namespace: "go", publicKey: rsa })],
  ["anyAuth", () => anyAuth([local(), jwt()])],
])(
  "without its library a service with %s does not start, and says what to install",
  async (_, create) => {
    await using auth = create();
    await using service = createService({
      ...{ name: "a", auth, registry: memoryRegistry(), broker: memoryBroker() },
      ...{ address: "127.0.0.1:0", logger: silentLogger },
    });
    await expect(service.start()).rejects.toMatchObject({
      code: "failed_precondition",
      message: expect.stringContaining("npm install jose@6"),
    });
  },
);
