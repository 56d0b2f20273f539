import { expect, test } from "vitest";
import { shownValue, withoutCredentials } from "./redact.ts";

test.each([
  ["nats://ada:secret@host:4222", "nats://…@host:4222"],
  ["nats://secret@host", "nats://…@host"],
  ["redis://:secret@host/2", "redis://…@host/2"],
  ["nats://ada:sec%2Fret@host", "nats://…@host"],
  ["nats://ada:secret@a:1,ada:secret@b:2", "nats://…@b:2"],
  ["nats://ada:secret@a,nats://bob:secret@b", "nats://…@a,nats://…@b"],
  ["nats://ada:se@cret@host", "nats://…@host"],
  ["nats://ada:se/cret@host", "nats://…@host"],
  ["nats://ada:se?cret@host", "nats://…@host"],
  ["nats:ada:secret@host", "nats:…@host"],
  ["ada:secret@host:4222", "ada:…@host:4222"],
  ["etcd://host?password=secret&ttl=5s", "etcd://host?password=…&ttl=5s"],
  ["etcd://host?api%5Fkey=secret", "etcd://host?api%5Fkey=…"],
  ["etcd://host?ttl=5s&access_token=sec%20ret", "etcd://host?ttl=5s&access_token=…"],
  [
    'cannot dial "nats://ada:secret@a" or tls://secret@b: refused',
    'cannot dial "nats://…@a" or tls://…@b: refused',
  ],
])("%s shows no credentials", (text, expected) => {
  expect(withoutCredentials(text)).toBe(expected);
});

test.each([
  "nats://host:4222",
  "etcd://[::1]:2379,b:2379?ttl=5s",
  "write to ada@example.com",
  "https://micro-es.example/docs?page=2#tokens",
])("%s is unchanged", (text) => {
  expect(withoutCredentials(text)).toBe(text);
});

test("hides a value whose name indicates a secret", () => {
  expect(shownValue("MICRO_DEBUG_TOKEN", "secret")).toBe("…");
  expect(shownValue("database.password", "secret")).toBe("…");
  expect(shownValue("MICRO_REGISTRY", "nats://secret@host")).toBe("nats://…@host");
});
