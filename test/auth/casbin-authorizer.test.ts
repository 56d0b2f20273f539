import {
  createClient,
  createService,
  MemoryNetwork,
  memoryBroker,
  memoryRegistry,
  memoryStore,
  memoryTransport,
  silentLogger,
} from "@micro-es/runtime";
import { localAuth, staticToken } from "@micro-es/runtime/auth";
import { newEnforcer, newModelFromString, StringAdapter } from "casbin";
import { expect, test } from "vitest";
import {
  createGuardedServiceClient,
  registerGuardedServiceHandler,
} from "../gen/micro/test/v1/guarded_micro.ts";
import { casbinAuthorizer } from "./casbin-authorizer.ts";

const model = `
[request_definition]
r = sub, obj, act
[policy_definition]
p = sub, obj, act
[role_definition]
g = _, _
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = g(r.sub, p.sub) && keyMatch(r.obj, p.obj) && r.act == p.act
`;
const policy = `
p, editors, micro.test.v1.GuardedService/*, call
p, anonymous, micro.test.v1.GuardedService/About, call
g, ada, editors
`;

test("a policy engine refuses what schema and rules allow, and grants nothing", async () => {
  const enforcer = await newEnforcer(newModelFromString(model), new StringAdapter(policy));
  await using store = memoryStore();
  await using auth = localAuth({ store, issuer: "acme", logger: silentLogger });
  const network = new MemoryNetwork();
  const service = createService({
    name: "guarded",
    registry: memoryRegistry(),
    broker: memoryBroker(),
    transports: [memoryTransport({ network })],
    logger: silentLogger,
    auth,
    access: { authorizers: [casbinAuthorizer(enforcer)] },
  });
  registerGuardedServiceHandler(service.server, {
    about: () => ({ text: "documents" }),
    async *read() {},
    async write() {
      return {};
    },
    async *edit() {},
    delete: () => ({}),
    onDocumentChanged() {},
  });
  await service.start();
  try {
    const address = service.server.addresses[0]!;
    const codeOf = async (id: string | undefined, scopes: readonly string[]) => {
      let credentials: ReturnType<typeof staticToken> | undefined;
      if (id !== undefined) {
        const { secret } = await auth.generate(id, { scopes });
        const { accessToken } = await auth.token({ grant: "secret", id, secret });
        credentials = staticToken(accessToken, { services: "any" });
      }
      await using client = createClient({
        registry: memoryRegistry(),
        transports: [memoryTransport({ network })],
        ...(credentials !== undefined && { credentials }),
      });
      const guarded = createGuardedServiceClient(client);
      const result = (call: Promise<unknown>) =>
        call.then(
          () => "ok",
          ({ code }) => code,
        );
      return [
        await result(guarded.about({}, { address })),
        await result(guarded.delete({ document: "a" }, { address })),
      ];
    };
    expect(await codeOf(undefined, [])).toEqual(["ok", "unauthenticated"]);
    expect(await codeOf("ada", ["documents.write"])).toEqual(["ok", "ok"]);
    expect(await codeOf("bob", ["documents.write"])).toEqual([
      "permission_denied",
      "permission_denied",
    ]);
    await enforcer.addRoleForUser("bob", "editors");
    await enforcer.addRoleForUser("eve", "editors");
    expect(await codeOf("eve", [])).toEqual(["ok", "permission_denied"]);
  } finally {
    await service.stop();
  }
});
