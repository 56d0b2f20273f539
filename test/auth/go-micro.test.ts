import { once } from "node:events";
import { type IncomingMessage, type OutgoingHttpHeaders, request } from "node:http";
import { tcpTransport } from "@micro-es/runtime";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type GuardedServer, startGuardedServer } from "./guarded-server.ts";

let guarded: GuardedServer;

beforeAll(async () => {
  guarded = await startGuardedServer(tcpTransport(), "127.0.0.1:0");
});
afterAll(() => guarded?.[Symbol.asyncDispose]());

/** Sends a request as go-micro's clients do, and returns what its response says. */
async function send(
  lines: Readonly<Record<string, string | readonly string[]>>,
  body: string,
): Promise<{ status: number | undefined; error: string; body: string }> {
  const [hostname = "", port = ""] = guarded.listener.address.split(":");
  const headers = lines as OutgoingHttpHeaders;
  const sent = request({ hostname, port, method: "POST", path: "/", agent: false, headers });
  sent.end(body);
  const [response] = (await once(sent, "response")) as [IncomingMessage];
  const pieces: Buffer[] = [];
  for await (const piece of response) pieces.push(piece as Buffer);
  const error = response.headers["micro-error"];
  return {
    status: response.statusCode,
    error: typeof error === "string" ? error : "",
    body: Buffer.concat(pieces).toString(),
  };
}

const scoped = {
  "content-type": "application/json",
  "micro-service": "guarded",
  "micro-endpoint": "Guarded.Scoped",
};

test("a refused caller gets 401 or 403 in go-micro's error, before its body is read", async () => {
  const anonymous = await send(scoped, "{");
  expect(JSON.parse(anonymous.error)).toMatchObject({ code: 401 });
  const authorization = `Bearer ${guarded.auth.issue()}`;
  const other = await send({ ...scoped, authorization }, "{");
  expect(JSON.parse(other.error)).toMatchObject({ code: 403 });
  const allowed = `Bearer ${guarded.auth.issue("echo.write")}`;
  const { error } = await send({ ...scoped, authorization: allowed }, "{");
  expect(JSON.parse(error)).toMatchObject({ code: 400 });
});

test("a repeated Authorization line is refused", async () => {
  const valid = `Bearer ${guarded.auth.issue("echo.write")}`;
  const { error } = await send({ ...scoped, authorization: [valid, "Bearer other"] }, "{}");
  expect(error).toContain("authorization twice");
  expect(guarded.handled).toEqual([]);
});

test("an envelope is opened for accounts, and its method is what they call", async () => {
  const headers = { "content-type": "application/json-rpc" };
  const call = (method: string) => JSON.stringify({ method, params: [{ text: "a" }], id: 1 });
  for (const body of ["{", call("Guarded.Scoped"), call("Guarded.Any")]) {
    expect((await send(headers, body)).body).toContain("401");
  }
  const authorization = `Bearer ${guarded.auth.issue()}`;
  expect((await send({ ...headers, authorization }, call("Guarded.Scoped"))).body).toContain("403");
  expect((await send({ ...headers, authorization }, call("Guarded.Any"))).body).toContain('"a"');
});

test("another namespace chooses nothing", async () => {
  const { error } = await send({ ...scoped, "micro-namespace": "go.micro" }, "{}");
  expect(JSON.parse(error)).toMatchObject({ code: 401 });
});
