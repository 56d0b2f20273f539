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
  test("its signal aborts once with the first reason, even if it is read afterwards", () => {
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

  test("propagates trace context, baggage and the server's keys, and nothing else", () => {
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

  test("can be passed as call options", () => {
    const incoming = call();
    expect(incoming.context).toBe(incoming);
    expect("metadata" in incoming).toBe(false);
  });

  test("keeps values that interceptors set", () => {
    const account = contextKey<string>("account", "none");
    const incoming = call();
    expect(incoming.get(account)).toBe("none");
    incoming.set(account, "ada");
    expect(incoming.get(account)).toBe("ada");
  });

  test("has no metadata to send unless the handler set some", () => {
    const incoming = call();
    expect(incoming.responseMetadata.isEmpty).toBe(true);
    expect(incoming.sentMetadata).toBeUndefined();
    incoming.trailers.set("cost", "3");
    expect(incoming.sentTrailers?.get("cost")).toBe("3");
  });
});
