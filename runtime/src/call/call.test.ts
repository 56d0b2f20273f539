import { describe, expect, test } from "vitest";
import { deadlineAfter } from "../base/deadline.ts";
import { MicroError } from "../base/error.ts";
import { Metadata, type MetadataInit } from "../base/metadata.ts";
import { bytesCodec } from "../codec/bytes.ts";
import { contextKey, ServerCall } from "./call.ts";
import type { AnyMethod } from "./method.ts";

const method: AnyMethod = {
  service: "test",
  name: "test.v1.Test/Do",
  kind: "unary",
  input: bytesCodec,
  output: bytesCodec,
  idempotency: "unknown",
};

function call(metadata?: MetadataInit): ServerCall {
  const peer = { address: "127.0.0.1:1", transport: "test" };
  return new ServerCall(method, peer, new Metadata(metadata), deadlineAfter(1_000));
}

describe("ServerCall", () => {
  test("its signal fires once with the first reason, also when it is read afterwards", () => {
    const first = new MicroError("canceled", "first");
    const early = call();
    const { signal } = early;
    early.cancel(first);
    early.cancel(new MicroError("unavailable", "second"));
    expect(signal.aborted).toBe(true);
    expect(signal.reason).toBe(first);

    const late = call();
    late.cancel(first);
    expect(late.signal.reason).toBe(first);
  });

  test("passes on trace context, baggage and the server's keys, and nothing else", () => {
    const incoming = call({
      traceparent: "00-1-2-01",
      baggage: "a=b",
      "x-tenant": "acme",
      authorization: "Bearer t",
    });
    incoming.propagate = ["x-tenant"];
    expect(incoming.propagatedMetadata.toObject()).toEqual({
      traceparent: "00-1-2-01",
      baggage: "a=b",
      "x-tenant": "acme",
    });
  });

  test("can stand where call options are expected", () => {
    const incoming = call();
    expect(incoming.context).toBe(incoming);
    expect("metadata" in incoming).toBe(false);
  });

  test("keeps what interceptors leave on it", () => {
    const account = contextKey<string>("account", "nobody");
    const incoming = call();
    expect(incoming.get(account)).toBe("nobody");
    incoming.set(account, "ada");
    expect(incoming.get(account)).toBe("ada");
  });

  test("has nothing to send unless the handler said something", () => {
    const incoming = call();
    expect(incoming.responseMetadata.isEmpty).toBe(true);
    expect(incoming.sentMetadata).toBeUndefined();
    incoming.trailers.set("cost", "3");
    expect(incoming.sentTrailers?.get("cost")).toBe("3");
  });
});
