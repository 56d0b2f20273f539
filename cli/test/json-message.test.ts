import { createRegistry } from "@bufbuild/protobuf";
import {
  ProcessStatsSchema,
  StatsResponseSchema,
} from "@micro-es/runtime/gen/micro/debug/v1/debug_pb.js";
import { expect, test } from "vitest";
import { readMessage } from "../src/schema/json-message.ts";

const registry = createRegistry();

test("a 64-bit number keeps its value", () => {
  const text = '{"rssBytes":9007199254740993,"heapUsedBytes":"18446744073709551615"}';
  expect(readMessage(ProcessStatsSchema, text, registry, "the request")).toMatchObject({
    rssBytes: 9007199254740993n,
    heapUsedBytes: 18446744073709551615n,
  });
});

test.each([
  [
    '{"process":{"started":"2026-02-30T00:00:00Z"}}',
    /^the request is not .* at process\.started: /,
  ],
  ['{"process":{"rssBytes":1.5}}', / at process\.rssBytes: /],
  ['{"process":{"host":"a","host":"b"}}', /StatsResponse: process: member "host" is repeated/],
])("JSON that would be changed is refused: %s", (text, message) => {
  const read = () => readMessage(StatsResponseSchema, text, registry, "the request");
  expect(read).toThrow(message);
});
