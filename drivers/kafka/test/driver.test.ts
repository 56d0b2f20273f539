import { kafka } from "@micro-es/kafka";
import { createClient, silentLogger } from "@micro-es/runtime";
import { expect, test } from "vitest";

test.each([
  ["kafka://host?timout=5s", /no parameter timout; did you mean timeout/],
  ["kafka://host?timeout=5", /timeout="5" is not allowed/],
  ["kafka://host?mechanism=md5", /mechanism="md5" is not allowed/],
  ["kafka://host?mechanism=plain", /the option mechanism is for user and password/],
  ["kafka://host?ca=/ca.pem", /are for TLS; use kafkas:/],
  ["kafkas://host?ca=/nowhere.pem", /cannot read the file of ca: ENOENT/],
  ["kafka://ada@host", /takes user and password together/],
  ["kafka://host/topic", /a URL of Kafka has no path \/topic/],
  ["kafka://host?fleet=%7Bx%7D", /fleet must be/],
  ["kafka://host?partitions=0", /partitions="0" is not allowed/],
])("refuses the URL %s", (MICRO_BACKEND, message) => {
  const make = () =>
    createClient({ drivers: [kafka], environment: { MICRO_BACKEND }, logger: silentLogger });
  expect(make).toThrow(message);
  expect(make).toThrow(/MICRO_BACKEND/);
});
