import {
  createClient,
  createServer,
  createService,
  MemoryNetwork,
  memoryTransport,
  type Server,
} from "@micro-es/runtime";
import { expect, test } from "vitest";
import {
  createGuardedServiceClient,
  type DocumentChangedInit,
  type GuardedServiceHandler,
  registerGuardedServiceHandler,
} from "../../../test/gen/micro/test/v1/guarded_micro.ts";
import { echo } from "../../../test/support/echo.ts";
import { errorOf, recordingLogger, registerEcho } from "../../../test/support/server.ts";

const environment = {
  MICRO_LOG_LEVEL: "silent",
  MICRO_REGISTRY: "memory",
  MICRO_TRANSPORT: "memory",
  MICRO_BROKER: "memory",
  MICRO_DRAIN_DELAY: "0ms",
};

const handler: GuardedServiceHandler = {
  about: () => ({ text: "open" }),
  async *read() {},
  write: () => ({ lines: 0 }),
  async *edit() {},
  delete: () => ({}),
  onDocumentChanged(_event: DocumentChangedInit) {},
};

const required =
  /service docs cannot start: .*GuardedService\/Read \(requires an account\), .*\/Write \(requires the scopes documents\.read, documents\.write\), .*\/Edit \(requires the scope documents\.write\), .*\/Delete .*auth: false/;

test("a server whose schema restricts callers does not start, and names the methods and the fix", async () => {
  await using server = createServer({ name: "docs", environment });
  registerEcho(server);
  registerGuardedServiceHandler(server, handler);
  const error = await errorOf(server.start());
  expect(error).toMatchObject({ code: "failed_precondition", outcome: "not-executed" });
  expect(error.message).toMatch(required);
  expect(error.message).not.toMatch(/About|EchoService/);
  expect(server.addresses).toEqual([]);
  expect(server.subscriptions).toEqual([]);
});

test("neither does a service, even if an onStart hook registers the handler", async () => {
  const service = createService({ name: "docs", environment });
  service.onStart(() => registerGuardedServiceHandler(service.server, handler));
  expect((await errorOf(service.start())).message).toMatch(required);
  expect(service.state).toBe("stopped");
});

test("with auth: false it starts, and logs what is not checked", async () => {
  const started: Server[] = [];
  for (const create of [
    (logger: ReturnType<typeof recordingLogger>) =>
      createServer({ name: "docs", environment, logger, auth: false }),
    (logger: ReturnType<typeof recordingLogger>) => {
      return createService({ name: "docs", environment, logger, auth: false }).server;
    },
  ]) {
    const logger = recordingLogger();
    await using server = create(logger);
    registerGuardedServiceHandler(server, handler);
    await server.start();
    started.push(server);
    expect(server.state).toBe("listening");
    expect(logger.lines.filter(({ level }) => level === "warn")).toMatchObject([
      { message: /auth is off/, fields: { service: "docs" } },
    ]);
    expect(JSON.stringify(logger.lines)).toContain("micro.test.v1.GuardedService/Write");
  }
  expect(started).toHaveLength(2);
});

test("with auth: false a handler that needs an account gets a stand-in", async () => {
  const network = new MemoryNetwork();
  const transport = memoryTransport({ network });
  const listen = [{ transport, address: "memory:docs" }];
  await using server = createServer({ name: "docs", environment, listen, auth: false });
  const ids: (string | undefined)[] = [];
  registerGuardedServiceHandler(server, {
    ...handler,
    about: (_request, context) => {
      ids.push(context.account?.id);
      return { text: "" };
    },
    delete: (_request, context) => {
      ids.push(context.account.id);
      return {};
    },
  });
  await server.start();
  await using client = createClient({ transports: [transport], environment });
  const docs = createGuardedServiceClient(client);
  const address = "memory:docs";
  await docs.about({}, { address });
  await docs.delete({}, { address });
  expect(ids).toEqual([undefined, "unverified"]);
});

test("methods that are public, or without a setting in the schema, need no option", async () => {
  const logger = recordingLogger();
  await using server = createServer({ name: "docs", environment, logger });
  server.unary({ ...echo.echo, auth: { public: true } }, ({ text }) => ({ text }));
  server.unary(echo.once, ({ text }) => ({ text }));
  await server.start();
  expect(logger.lines.filter(({ level }) => level === "warn")).toEqual([]);
});

test("a message about many methods stays readable", async () => {
  await using server = createServer({ name: "docs", environment });
  for (let i = 0; i < 50; i++) {
    server.unary({ ...echo.echo, name: `a.v1.Many/M${i}`, auth: {} }, () => ({}));
  }
  const { message } = await errorOf(server.start());
  expect(message).toContain("a.v1.Many/M19 (requires an account), and 30 more");
  expect(message).not.toContain("M20");
});
