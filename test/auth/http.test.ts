import { once } from "node:events";
import { type IncomingMessage, type OutgoingHttpHeaders, request } from "node:http";
import { connect } from "node:http2";
import { tcpTransport } from "@micro-es/runtime";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { MountedRoutes } from "../../runtime/src/transport/http/mounted-routes.ts";
import { type GuardedServer, methods, startGuardedServer } from "./guarded-server.ts";

const mountedPath = "/extra.v1.Extra/Call";
const routes: MountedRoutes = {
  mount: () => ({
    has: (path) => path === mountedPath,
    async respond(_request, response) {
      response.writeHead(200);
      response.end("mounted");
    },
  }),
};

let guarded: GuardedServer;

beforeAll(async () => {
  const http = { cors: { origins: ["https://page.example"] }, routes };
  guarded = await startGuardedServer(tcpTransport({ http }), "127.0.0.1:0");
});
afterAll(() => guarded?.[Symbol.asyncDispose]());

interface Result {
  readonly status: number | undefined;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

/** Sends a request over HTTP/1.1. */
async function send(
  method: string,
  path: string,
  lines: Readonly<Record<string, string | readonly string[]>> = {},
  body = "",
): Promise<Result> {
  const [hostname = "", port = ""] = guarded.listener.address.split(":");
  const headers = lines as OutgoingHttpHeaders;
  const sent = request({ hostname, port, method, path, agent: false, headers });
  sent.end(body);
  const [response] = (await once(sent, "response")) as [IncomingMessage];
  const pieces: Buffer[] = [];
  for await (const piece of response) pieces.push(piece as Buffer);
  return {
    status: response.statusCode,
    headers: response.headers,
    body: Buffer.concat(pieces).toString(),
  };
}

const json = { "content-type": "application/json" };
const bearer = (...scopes: string[]) => ({
  authorization: `Bearer ${guarded.auth.issue(...scopes)}`,
});
const scoped = `/${methods.scoped.name}`;
const getOf = (name: string) => `/${name}?connect=v1&encoding=json&message=%7B%7D`;

test("Connect refuses with 401 and 403, whatever the body is", async () => {
  const anonymous = await send("POST", scoped, json, "{");
  expect(anonymous.status).toBe(401);
  expect(JSON.parse(anonymous.body)).toEqual({
    code: "unauthenticated",
    message: "the call needs a valid credential",
  });
  expect(anonymous.headers["micro-outcome"]).toBe("not-executed");
  const other = await send("POST", scoped, { ...json, ...bearer() }, "{");
  expect(other.status).toBe(403);
  expect(JSON.parse(other.body)).toMatchObject({ code: "permission_denied" });
  expect((await send("POST", scoped, { ...json, ...bearer("echo.write") }, "{")).status).toBe(400);
});

test("a repeated credential is refused", async () => {
  const valid = `Bearer ${guarded.auth.issue("echo.write")}`;
  const lines = { ...json, authorization: [valid, valid] };
  expect((await send("POST", scoped, lines, "{}")).status).toBe(401);
});

test("a credential with other characters than ASCII is not taken for none", async () => {
  const lines = { ...json, authorization: "Bearer gr\u00fc\u00dfe" };
  expect((await send("POST", `/${methods.open.name}`, lines, "{}")).status).toBe(401);
});

test("the response to a GET that depends on its caller stays out of shared caches", async () => {
  const open = getOf(methods.open.name);
  const anonymous = await send("GET", open);
  expect(anonymous.status).toBe(200);
  expect(anonymous.headers["cache-control"]).toBeUndefined();
  const callers: [string, Readonly<Record<string, string>>, number][] = [
    [open, bearer(), 200],
    [getOf(methods.scoped.name), bearer("echo.write"), 200],
    [getOf(methods.scoped.name), bearer(), 403],
    [getOf(methods.scoped.name), {}, 401],
  ];
  for (const [path, lines, status] of callers) {
    const result = await send("GET", path, lines);
    expect(result.status).toBe(status);
    expect(result.headers["cache-control"]).toBe("private");
    expect(result.headers.vary).toContain("authorization");
  }
});

test("a preflight request needs no credential", async () => {
  const { status, headers } = await send("OPTIONS", scoped, {
    origin: "https://page.example",
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization",
  });
  expect(status).toBe(204);
  expect(headers["access-control-allow-headers"]).toContain("authorization");
});

test("only a caller that may call a method learns how it is called", async () => {
  const wrong: [string, string, Readonly<Record<string, string>>, number][] = [
    ["POST", scoped, { "content-type": "text/plain" }, 415],
    ["PUT", scoped, json, 405],
    ["GET", `/${methods.watch.name}`, {}, 405],
    ["POST", `/${methods.watch.name}`, json, 415],
  ];
  for (const [method, path, lines, status] of wrong) {
    expect(await send(method, path, lines)).toMatchObject({
      status: 401,
      body: "the call needs a valid credential\n",
    });
    expect((await send(method, path, { ...lines, ...bearer("echo.write") })).status).toBe(status);
  }
  expect((await send("PUT", scoped, { ...json, ...bearer() })).status).toBe(403);
});

test("a mounted route is closed unless a rule grants it", async () => {
  expect((await send("POST", mountedPath, json, "{}")).status).toBe(401);
  expect((await send("POST", mountedPath, { ...json, ...bearer() }, "{}")).status).toBe(403);
  await guarded.rules.grant({
    id: "extra",
    access: "granted",
    priority: 1,
    resource: { type: "method", name: mountedPath.slice(1) },
    subject: { scope: "extra" },
  });
  expect((await send("POST", mountedPath, { ...json, ...bearer() }, "{}")).status).toBe(403);
  const allowed = await send("POST", mountedPath, { ...json, ...bearer("extra") }, "{}");
  expect(allowed).toMatchObject({ status: 200, body: "mounted" });
});

test("go-micro's gRPC clients are refused like others, by any name of the method", async () => {
  const session = connect(`http://${guarded.listener.address}`);
  const statusOf = async (path: string, lines: Readonly<Record<string, string>>) => {
    const stream = session.request({
      ":method": "POST",
      ":path": path,
      "content-type": "application/grpc+proto",
      "x-content-type": "application/grpc+proto",
      te: "trailers",
      ...lines,
    });
    stream.end(Buffer.alloc(5));
    let status: unknown;
    stream.on("response", (header) => {
      status ??= header["grpc-status"];
    });
    stream.on("trailers", (trailers) => {
      status ??= trailers["grpc-status"];
    });
    stream.resume();
    await once(stream, "close");
    return status;
  };
  try {
    for (const path of [scoped, "/guarded.Guarded/Scoped"]) {
      expect(await statusOf(path, {})).toBe("16");
      expect(await statusOf(path, bearer())).toBe("7");
      expect(await statusOf(path, bearer("echo.write"))).toBe("0");
    }
    expect(await statusOf("/other.Guarded/Scoped", bearer("echo.write"))).toBe("12");
  } finally {
    session.destroy();
  }
});
