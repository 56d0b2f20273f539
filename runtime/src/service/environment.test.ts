import { readFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import {
  type EnvironmentVariable,
  fromEnvironment,
  environmentVariables as variables,
} from "./environment.ts";

const all: readonly EnvironmentVariable<unknown>[] = Object.values(variables);

describe("the environment", () => {
  const good: [EnvironmentVariable<unknown>, string, unknown][] = [
    [variables.name, "greeter", "greeter"],
    [variables.metadata, "zone=a, tier = b=c,empty=", { zone: "a", tier: "b=c", empty: "" }],
    [variables.address, "127.0.0.1:0", "127.0.0.1:0"],
    [variables.address, "unix:/run/a.sock", "unix:/run/a.sock"],
    [variables.advertise, "gateway.example", "gateway.example"],
    [variables.advertise, "gateway.example:443", "gateway.example:443"],
    [variables.mdnsPort, "5354", 5354],
    [variables.drivers, "@micro-es/nats, acme-queue", ["@micro-es/nats", "acme-queue"]],
    [variables.selector, "least-loaded", "least-loaded"],
    [variables.timeout, "500ms", 500],
    [variables.timeout, "1.5s", 1_500],
    [variables.grace, "2m", 120_000],
    [variables.grace, "0s", 0],
    [variables.maxConcurrentCalls, "64", 64],
    [variables.protocols, "native, grpc-web", ["native", "grpc-web"]],
  ];
  for (const [variable, text, value] of good) {
    test(`${variable.name}=${text}`, () => {
      expect(fromEnvironment(variable, { [variable.name]: text })).toEqual(value);
    });
  }

  const bad: [EnvironmentVariable<unknown>, string, RegExp][] = [
    [variables.metadata, "zone", /key=value/],
    [variables.protocols, "native,http", /connect/],
    [variables.protocols, "grpc,", /grpc-web/],
    [variables.address, "localhost", /host:port/],
    [variables.address, "http://a:80/", /host:port/],
    [variables.advertise, "a b", /host/],
    [variables.registry, "127.0.0.1:2379", /URL of a driver, such as mdns:/],
    [variables.transport, "t c p", /such as tcp:/],
    [variables.backend, "nats://a:port", /nats:\/\/10\.0\.0\.5:4222/],
    [variables.config, ",env:SHOP_", /file:shop\.yaml,env:SHOP_/],
    [variables.drivers, "../nats", /npm packages/],
    [variables.brokerAddress, "unix:/a", /host:port/],
    [variables.mdnsPort, "65536", /1 to 65535/],
    [variables.selector, "fastest", /p2c/],
    [variables.timeout, "5", /500ms/],
    [variables.timeout, "-5s", /500ms/],
    [variables.maxConcurrentCalls, "0", /whole number from 1/],
    [variables.maxConcurrentStreams, "1e3", /whole number from 1/],
    [variables.logLevel, "loud", /debug, info, warn, error, silent/],
    [variables.logFormat, "xml", /json, text/],
  ];
  for (const [variable, text, allowed] of bad) {
    test(`refuses ${variable.name}=${text} with the allowed values`, () => {
      const read = () => fromEnvironment(variable, { [variable.name]: text });
      expect(read).toThrow(expect.objectContaining({ code: "invalid_argument" }));
      expect(read).toThrow(`${variable.name}=${JSON.stringify(text)}`);
      expect(read).toThrow(allowed);
    });
  }

  test("words and URLs name backends", () => {
    const shown = (text: string) => String(fromEnvironment(variables.store, { MICRO_STORE: text }));
    expect(shown("memory")).toBe("memory:");
    expect(shown("file:data/store")).toBe("file:data/store");
    expect(shown("Redis://a:6379/2?replicas=3")).toBe("redis://a:6379/2?replicas=3");
  });

  test.each([
    ["file:a.yaml,env:SHOP_", ["file:a.yaml", "env:SHOP_"]],
    ["nats://a:1,b:2?bucket=x, file:b", ["nats://a:1,b:2?bucket=x", "file:b"]],
    ["nats://u:p@a,u:p@b,nats://c", ["nats://…@a,b", "nats://c"]],
    ["memory,file:a", ["memory:", "file:a"]],
  ])("MICRO_CONFIG=%s names its sources", (text, expected) => {
    expect(fromEnvironment(variables.config, { MICRO_CONFIG: text })?.map(String)).toEqual(
      expected,
    );
  });

  test("an error shows no credentials", () => {
    const secrets = { MICRO_REGISTRY: "nats://ada:se/cret@host", MICRO_DEBUG_TOKEN: "se cret" };
    const shown: readonly EnvironmentVariable<unknown>[] = [
      variables.registry,
      variables.debugToken,
    ];
    for (const variable of shown) {
      const read = () => fromEnvironment(variable, secrets);
      expect(read).toThrow(/^(?!.*cret).*…/);
    }
  });

  test("an absent or empty variable is ignored", () => {
    for (const variable of all) {
      expect(fromEnvironment(variable, {})).toBeUndefined();
      expect(fromEnvironment(variable, { [variable.name]: "" })).toBeUndefined();
    }
  });
});

test("docs/service.md has the table of all variables", async () => {
  const cell = (text: string) => text.replaceAll("|", "\\|");
  const rows = all.map(
    ({ name, sets, values, fallback }) =>
      `| \`${name}\` | ${cell(sets)} | ${cell(values)} | ${cell(fallback)} |`,
  );
  const text = await readFile(new URL("../../../docs/service.md", import.meta.url), "utf8");
  const table = text.split("\n").filter((line) => line.startsWith("| `MICRO_"));
  expect(table).toEqual(rows);
  const mentioned = new Set(text.match(/MICRO_[A-Z_]+/g));
  expect([...mentioned].filter((name) => !all.some((it) => it.name === name))).toEqual([]);
});
