import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { BackendUrl, readParameters, requireBareUrl } from "./backend-url.ts";
import { countText, durationText, oneWord, portText } from "./text-value.ts";

function parse(text: string): BackendUrl {
  const url = BackendUrl.parse(text);
  if (url === undefined) throw new Error(`${text} was not read`);
  return url;
}

describe("the URL of a backend", () => {
  const none = { hosts: [], username: undefined, password: undefined, path: "" };
  test.each([
    ["memory", { scheme: "memory", ...none }],
    ["mdns:", { scheme: "mdns", ...none }],
    ["http:", { scheme: "http", ...none }],
    ["NATS://Host:4222", { scheme: "nats", hosts: ["Host:4222"], path: "" }],
    ["nats://a:4222,b:4222/", { hosts: ["a:4222", "b:4222"], path: "" }],
    ["nats://ada:p%40ss%2Fw@a", { hosts: ["a"], username: "ada", password: "p@ss/w" }],
    ["nats://ada:p@ss@a", { hosts: ["a"], username: "ada", password: "p@ss" }],
    ["nats://token@a", { hosts: ["a"], username: "token", password: undefined }],
    ["redis://:pass@a/2", { hosts: ["a"], username: undefined, password: "pass", path: "/2" }],
    ["tls://ada:x@a,ada:x@b", { hosts: ["a", "b"], username: "ada", password: "x" }],
    ["etcd://[::1]:2379", { hosts: ["[::1]:2379"] }],
    ["file:data/100%/store", { hosts: [], path: "data/100%/store" }],
    ["file:///var/my%20shop", { hosts: [], path: "/var/my shop" }],
  ])("%s is parsed", (text, expected) => {
    expect(parse(text)).toMatchObject(expected);
  });

  test.each([
    "",
    "10.0.0.5:4222",
    "nats://a:port",
    "nats://a:65536",
    "nats://a,",
    "nats://a b",
    "nats://ada:sec/ret@a",
    "nats://ada:1/ret@a",
    "nats://ada:1?ret@a",
    "nats://ada:x@a,bob:y@b",
    "mdns:?port=1&port=2",
  ])("%j is refused", (text) => {
    expect(BackendUrl.parse(text)).toBeUndefined();
  });

  test.each([
    "nats://ada:s%65cret@a:1,b:2?fleet=shop",
    "nats://secret@a:1,b:2?fleet=shop",
    "nats://a:1,b:2?fleet=shop&token=secret",
    "nats:secret@a:1,b:2?fleet=shop",
  ])("%s never shows its credentials", (text) => {
    const url = parse(text);
    for (const shown of [`${url}`, JSON.stringify({ url }), inspect({ url }), inspect([url])]) {
      expect(shown).not.toMatch(/secret|s%65cret/);
      expect(shown).toMatch(/nats:.*a:1,b:2\?fleet=shop/);
    }
  });

  test("equals one with the same content, credentials included", () => {
    const url = parse("nats://ada:x@a?fleet=shop&replicas=3");
    expect(url.equals(parse("NATS://ada:x@a/?replicas=3&fleet=shop"))).toBe(true);
    expect(url.equals(parse("nats://ada:y@a?fleet=shop&replicas=3"))).toBe(false);
    expect(url.equals(parse("nats://ada:x@a?fleet=shop"))).toBe(false);
  });
});

describe("the parameters of a URL", () => {
  const readers = {
    broker: oneWord("jetstream", "core"),
    replicas: countText(5),
    ackWait: durationText,
    port: portText,
  };
  test("are parsed as their types", () => {
    const url = parse("nats://a?broker=core&replicas=3&ackWait=1.5s");
    expect(readParameters(url, readers)).toEqual({ broker: "core", replicas: 3, ackWait: 1_500 });
  });

  test.each([
    ["nats://a?replica=3", "nats: has no parameter replica; did you mean replicas? It takes"],
    ["nats://a?x=3", "nats: has no parameter x; it takes broker, replicas, ackWait, port"],
    ["nats://a?broker=kafka", 'broker="kafka" is not allowed; it takes one of jetstream, core'],
    ["nats://a?replicas=9", 'replicas="9" is not allowed; it takes a whole number from 1 to 5'],
    ["nats://a?ackWait=5", 'ackWait="5" is not allowed; it takes a duration with its unit'],
    ["nats://a?port=0", 'port="0" is not allowed'],
    ["nats://a?constructor=1", "nats: has no parameter constructor"],
  ])("%s is an error", (text, message) => {
    expect(() => readParameters(parse(text), readers)).toThrow(message);
  });

  test("a URL that takes only parameters is refused with anything else", () => {
    for (const text of ["mdns://host", "mdns:path", "mdns://ada:x@host"]) {
      expect(() => requireBareUrl(parse(text))).toThrow("mdns: takes no host and no path");
    }
    expect(() => readParameters(parse("tcp:?x=1"), {})).toThrow("it takes no parameters");
  });
});
