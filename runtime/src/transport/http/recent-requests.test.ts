import { expect, test } from "vitest";
import { Metadata } from "../../base/metadata.ts";
import { HeaderField } from "../http2/hpack/header-field.ts";
import { HeaderList } from "../http2/hpack/header-list.ts";
import { messageHead } from "../http2/message-head.ts";
import { RpcRequests } from "./rpc-request.ts";

const common = {
  ":method": "POST",
  ":scheme": "http",
  ":path": "/micro.test.v1.EchoService/Echo",
  ":authority": "localhost",
};
const grpc = { ...common, "content-type": "application/grpc", te: "trailers" };
const connect = { ...common, "content-type": "application/proto" };

function reader() {
  const requests = new RpcRequests();
  return (fields: Readonly<Record<string, string>>, ...more: (readonly [string, string])[]) => {
    const all = [...Object.entries(fields), ...more];
    const list = new HeaderList(all.map(([name, value]) => new HeaderField(name, value)));
    const request = requests.read(messageHead(list, "request")!, list)!;
    const { metadata } = request;
    return { ...request, key: metadata && Metadata.decode(metadata).get("x-key") };
  };
}

test("requests that differ in their timeout alone are read once, each with its own", () => {
  const read = reader();
  const first = read({ ...grpc, "grpc-timeout": "1S", "x-key": "a" });
  const second = read({ ...grpc, "grpc-timeout": "250m", "x-key": "a" });
  expect([first.timeoutMs, second.timeoutMs]).toEqual([1_000, 250]);
  expect(second.metadata).toBe(first.metadata);
  expect(second.key).toBe("a");
  const [long, short] = ["9000", "20"].map((ms) => read({ ...connect, "connect-timeout-ms": ms }));
  expect([long!.timeoutMs, short!.timeoutMs]).toEqual([9_000, 20]);
});

test("requests that differ in anything else are read for themselves", () => {
  const read = reader();
  const keys = ["a", "b", "a"].map((key) => read({ ...grpc, "x-key": key }).key);
  expect(keys).toEqual(["a", "b", "a"]);
  expect(read({ ...grpc, "x-other": "a" }).key).toBeUndefined();
  expect(read({ ...grpc, authorization: "Bearer one" }).credential).not.toEqual(
    read({ ...grpc, authorization: "Bearer two" }).credential,
  );
  expect(read({ ...grpc, "content-type": "application/grpc-web" }).protocol).toBe("grpcWeb");
  expect(read({ ...grpc, ":authority": "elsewhere" }).hosts).toEqual(["elsewhere"]);
  expect(read({ ...grpc, ":path": "/a.B/C" }).name).toBe("a.B/C");
  expect(read(grpc)).toMatchObject({ name: "micro.test.v1.EchoService/Echo", protocol: "grpc" });
});

test("a malformed timeout, and one that is stated twice, is refused after good ones", () => {
  const read = reader();
  const good = () => read({ ...grpc, "grpc-timeout": "1S" });
  expect(good().problem).toBeUndefined();
  expect(read({ ...grpc, "grpc-timeout": "soon" }).problem).toMatchObject({
    code: "invalid_argument",
  });
  const twice = () => read({ ...grpc, "grpc-timeout": "1S" }, ["grpc-timeout", "2S"]);
  expect([twice(), twice()].map(({ problem }) => problem?.code)).toEqual([
    "invalid_argument",
    "invalid_argument",
  ]);
  expect(good()).toMatchObject({ problem: undefined, timeoutMs: 1_000 });
});

test("only small requests of a few paths are remembered", () => {
  const read = reader();
  const large = { ...grpc, "x-key": "k".repeat(3_000) };
  expect(read(large).metadata).not.toBe(read(large).metadata);
  const small = { ...grpc, "x-key": "a" };
  const { metadata } = read(small);
  for (let count = 0; count < 20; count++) read({ ...small, ":path": `/a.B/M${count}` });
  expect(read(small).metadata).not.toBe(metadata);
});
