import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { protocGenMicro } from "../src/plugin.ts";
import { compile, generate, proto, repository } from "./support/compile.ts";

interface Case {
  readonly name: string;
  readonly body: string;
  /** Each must be in the error, with the position in front of it. */
  readonly errors: readonly RegExp[];
}

const rpc = (options: string, signature = "Call(M) returns (M)"): string =>
  `service S {\n  rpc ${signature} {\n    ${options}\n  }\n}\nmessage M { string name = 1; }\n`;
const method = (rule: string, idempotency = "IDEMPOTENT"): string =>
  `option idempotency_level = ${idempotency};\n    option (micro.v1.method) = { ${rule} };`;
const topic = (rule: string, fields = "string name = 1;"): string =>
  `message Event {\n  option (micro.v1.topic) = { ${rule} };\n  ${fields}\n}\n`;
const subscriber = (
  rule: string,
  signature = "OnEvent(Event) returns (google.protobuf.Empty)",
  more = "",
): string =>
  `service S {\n  rpc ${signature} {\n    option (micro.v1.subscribe) = { ${rule} };\n    ${more}\n  }\n}\n${topic('name: "events"')}`;

// The preamble of proto() has five lines and a blank one, so the body begins on line 6.
const cases: readonly Case[] = [
  {
    name: "retry on a method that may not be repeated",
    body: rpc("option (micro.v1.method) = { retry: { attempts: 3 } };"),
    errors: [
      /^wrong\.proto:8:12: rpc test\.v1\.S\.Call: retry requires a method that is safe to repeat; set idempotency_level to IDEMPOTENT or NO_SIDE_EFFECTS/m,
    ],
  },
  {
    name: "retry on a stream of requests",
    body: rpc(method("retry: { attempts: 3 }"), "Call(stream M) returns (M)"),
    errors: [/^wrong\.proto:9:12: rpc test\.v1\.S\.Call: retry requires a single request/m],
  },
  {
    name: "retry on a bidirectional stream",
    body: rpc(
      method('retry: { attempts: 3 on: "unavailable" }'),
      "Call(stream M) returns (stream M)",
    ),
    errors: [/retry requires a single request/],
  },
  {
    name: "one attempt",
    body: rpc(method("retry: { attempts: 1 }")),
    errors: [/: retry\.attempts is 1; use 2 to 5, including the first attempt/],
  },
  {
    name: "retry without attempts",
    body: rpc(method("retry: {}")),
    errors: [/: retry\.attempts is 0; use 2 to 5/],
  },
  {
    name: "six attempts",
    body: rpc(method("retry: { attempts: 6 }")),
    errors: [/: retry\.attempts is 6; use 2 to 5/],
  },
  {
    name: "a code that is misspelt",
    body: rpc(method('retry: { attempts: 2 on: ["unavailable", "UNVAILABLE"] }')),
    errors: [/: retry\.on has "UNVAILABLE", which is not a gRPC code; did you mean unavailable\?/],
  },
  {
    name: "a code that is like none",
    body: rpc(method('retry: { attempts: 2 on: "sometimes" }')),
    errors: [/: retry\.on has "sometimes", which is not a gRPC code; use one of canceled, unknown/],
  },
  {
    name: "no backoff",
    body: rpc(method("retry: { attempts: 2 backoff: {} }")),
    errors: [/: retry\.backoff is 0 ms; use more than zero/],
  },
  {
    name: "a negative backoff",
    body: rpc(method("retry: { attempts: 2 max_backoff: { seconds: -1 } }")),
    errors: [/: retry\.max_backoff is -1 s; use more than zero/],
  },
  {
    name: "max_backoff below backoff",
    body: rpc(method("retry: { attempts: 2 backoff: { seconds: 2 } max_backoff: { seconds: 1 } }")),
    errors: [/: retry\.max_backoff \(1000 ms\) is less than backoff \(2000 ms\)/],
  },
  {
    name: "max_backoff below the default backoff",
    body: rpc(method("retry: { attempts: 2 max_backoff: { nanos: 1000000 } }")),
    errors: [/: retry\.max_backoff \(1 ms\) is less than backoff \(50 ms\)/],
  },
  {
    name: "a timeout of zero",
    body: rpc(method("timeout: {}")),
    errors: [/^wrong\.proto:9:12: rpc test\.v1\.S\.Call: timeout is 0 ms; use more than zero/m],
  },
  {
    name: "a negative timeout",
    body: rpc(method("timeout: { nanos: -5000000 }")),
    errors: [/: timeout is -5 ms; use more than zero/],
  },
  {
    name: "a timeout that is not a duration",
    body: rpc(method("timeout: { seconds: 1 nanos: -1 }")),
    errors: [/: timeout is not a duration \(seconds: 1, nanos: -1\)/],
  },
  {
    name: "nanos beyond a second",
    body: rpc(method("timeout: { nanos: 2000000000 }")),
    errors: [/: timeout is not a duration \(seconds: 0, nanos: 2000000000\)/],
  },
  {
    name: "a timeout that no timer waits for",
    body: rpc(method("timeout: { seconds: 9000000 }")),
    errors: [/: timeout is 9000000 s; use at most 2147483 s \(24 days\)/],
  },
  {
    name: "public with scopes",
    body: rpc(method('auth: { public: true scopes: ["a", "b"] }')),
    errors: [/: auth is public and requires the scopes a, b; remove one of the two/],
  },
  {
    name: "an empty scope",
    body: rpc(method('auth: { scopes: ["a", " "] }')),
    errors: [/: auth\.scopes contains an empty scope/],
  },
  {
    name: "a service name with a blank",
    body: 'service S {\n  option (micro.v1.service) = { name: "my service" };\n}\n',
    errors: [
      /^wrong\.proto:7:33: service test\.v1\.S: service\.name is "my service"; use only letters/m,
    ],
  },
  {
    name: "wrong defaults of a service, once for all its methods",
    body: `service S {
  option (micro.v1.service) = { defaults: { timeout: {} auth: { scopes: "" } } };
  rpc A(M) returns (M);
  rpc B(M) returns (M);
}
message M {}`,
    errors: [
      /: service test\.v1\.S: timeout is 0 ms/,
      /: service test\.v1\.S: auth\.scopes contains/,
    ],
  },
  {
    name: "a topic without a name",
    body: topic('key: "name"'),
    errors: [/^wrong\.proto:7:10: message test\.v1\.Event: topic\.name is empty; set a name/m],
  },
  {
    name: "a topic with a slash",
    body: topic('name: "a/b"'),
    errors: [/: topic\.name is "a\/b"; use only letters, digits, dots, hyphens and underscores/],
  },
  {
    name: "a key that is misspelt",
    body: topic('name: "a" key: "nmae"'),
    errors: [/: topic\.key "nmae" is not a field of the message; did you mean name\?/],
  },
  {
    name: "a key that is like no field",
    body: topic('name: "a" key: "identifier"', "string name = 1; int32 age = 2; bytes raw = 3;"),
    errors: [/: topic\.key "identifier" is not a field of the message; use one of name, age/],
  },
  {
    name: "a key in a message without fields",
    body: topic('name: "a" key: "id"', ""),
    errors: [/: topic\.key "id" is not a field of the message; remove it, or add a scalar field/],
  },
  ...[
    ["repeated string k = 1;", "is a repeated field"],
    ["map<string, string> k = 1;", "is a map"],
    ["google.protobuf.Empty k = 1;", "is a message"],
    ["oneof choice { string k = 1; }", "is a member of the oneof choice"],
    ["bytes k = 1;", "is a bytes field"],
  ].map(([field = "", why = ""]) => ({
    name: `a key that ${why}`,
    body: topic('name: "a" key: "k"', `${field} string other = 2;`),
    errors: [new RegExp(`: topic\\.key "k" ${why}; use one of other`)],
  })),
  {
    name: "two messages on one topic",
    body: `${topic('name: "same"')}${topic('name: "same"').replace("Event", "Other")}`,
    errors: [
      /^wrong\.proto:11:31: message test\.v1\.Other: topic\.name "same" is also the topic of test\.v1\.Event/m,
    ],
  },
  {
    name: "two messages on one topic, one of them imported",
    body: topic('name: "imported"'),
    errors: [
      /: message test\.v1\.Event: topic\.name "imported" is also the topic of other\.v1\.Imported/,
    ],
  },
  {
    name: "a subscriber to a message that is not an event",
    body: subscriber("", "OnEvent(Event.Part) returns (google.protobuf.Empty)").replace(
      "string name",
      "message Part {}\n  string name",
    ),
    errors: [
      /^wrong\.proto:8:12: rpc test\.v1\.S\.OnEvent: subscribes to test\.v1\.Event\.Part, which has no topic; add option/m,
    ],
  },
  {
    name: "a subscriber that answers",
    body: subscriber("", "OnEvent(Event) returns (Event)"),
    errors: [/: a subscriber must return google\.protobuf\.Empty, .* it returns test\.v1\.Event/],
  },
  {
    name: "a subscriber that streams",
    body: subscriber("", "OnEvent(stream Event) returns (google.protobuf.Empty)"),
    errors: [/: a subscriber receives one event at a time; remove stream/],
  },
  {
    name: "a subscriber with a policy for calls",
    body: subscriber(
      "",
      undefined,
      "option (micro.v1.method) = { timeout: { seconds: 1 } auth: { public: true } };",
    ),
    errors: [
      /^wrong\.proto:9:12: .*: timeout, auth of a subscriber has no effect, .*; remove micro\.v1\.method/m,
    ],
  },
  {
    name: "dead letters that come back",
    body: subscriber('dead_letter: "events"'),
    errors: [/: subscribe\.dead_letter events is the topic it subscribes to/],
  },
  {
    name: "names of a queue and of a dead letter topic",
    body: subscriber('queue: "a b" dead_letter: "c*"'),
    errors: [
      /: subscribe\.queue is "a b"; use only/,
      /: subscribe\.dead_letter is "c\*"; use only/,
    ],
  },
];

const compiled = compile({
  "other.proto": `syntax = "proto3";
package other.v1;
import "micro/v1/options.proto";
message Imported { option (micro.v1.topic) = { name: "imported" }; }`,
  ...Object.fromEntries(
    cases.map(({ body }, index) => [
      `case${index}/wrong.proto`,
      proto(body, 'import "other.proto";').replace("test.v1", `case${index}.test.v1`),
    ]),
  ),
});

describe("a wrong option is an error with its position and a fix", () => {
  test.each(cases.map((it, index) => ({ ...it, index })))("$name", ({ errors, index }) => {
    const request = compiled.request([`case${index}/wrong.proto`]);
    const response = protocGenMicro.run(request);
    expect(response.file).toEqual([]);
    const message = response.error!.replaceAll(`case${index}/`, "").replaceAll(`case${index}.`, "");
    for (const error of errors) expect(message).toMatch(error);
    const [head, ...lines] = message.split("\n");
    const count = errors.length === 1 ? "1 error" : `${errors.length} errors`;
    expect(head).toBe(`${count} in micro.v1 options`);
    expect(lines).toHaveLength(errors.length);
    for (const line of lines) expect(line).toMatch(/^wrong\.proto:\d+:\d+: /);
  });

  test("errors of all files are reported together, for each target", () => {
    const names = [0, 5, 12].map((index) => `case${index}/wrong.proto`);
    const { error } = protocGenMicro.run(compiled.request(names, "target=js+dts"));
    expect(error?.split("\n")).toHaveLength(1 + names.length);
  });

  test("an error in a file that is only imported is not reported", () => {
    const good = compile({
      "bad.proto":
        'syntax = "proto3"; package bad; import "micro/v1/options.proto"; message Bad { option (micro.v1.topic) = { key: "no" }; }',
      "good.proto":
        'syntax = "proto3"; package good; import "bad.proto"; service S { rpc A(bad.Bad) returns (bad.Bad); }',
    });
    expect(generate(good.request(["good.proto"])).size).toBe(2);
    expect(() => generate(good.request(["good.proto", "bad.proto"]))).toThrow(
      /topic.name is empty/,
    );
  });
});

describe("correct options", () => {
  const valid = compile({
    "a.proto": proto(`
service Plain { rpc Call(M) returns (M); }
service Ruled {
  option (micro.v1.service) = {
    name: "the-name"
    defaults: {
      timeout: { seconds: 5 }
      retry: { attempts: 3 backoff: { nanos: 20000000 } on: ["unavailable", "aborted"] }
      auth: { scopes: ["read"] }
    }
  };
  rpc Inherits(M) returns (M) { option idempotency_level = IDEMPOTENT; }
  rpc NotRepeatable(M) returns (M);
  rpc Uploads(stream M) returns (M) { option idempotency_level = IDEMPOTENT; }
  rpc Overrides(M) returns (M) {
    option idempotency_level = NO_SIDE_EFFECTS;
    option (micro.v1.method) = {
      timeout: { nanos: 1500000 }
      retry: { attempts: 5 max_backoff: { seconds: 3 } }
      auth: { public: true }
    };
  }
  rpc OnlyNotRun(M) returns (M) {
    option (micro.v1.method) = { retry: { attempts: 2 on: "unavailable" } auth: {} };
  }
}
message M {}
`),
    "beta.proto":
      'syntax = "proto3"; package acme.data.v1p1beta1; service S { rpc A(M) returns (M); } message M {}',
    "v1.proto": 'syntax = "proto3"; package v1; service S { rpc A(M) returns (M); } message M {}',
    "none.proto":
      'syntax = "proto3"; service HTTPGateway_Two { rpc A(M) returns (M); } message M {}',
  });
  const code = generate(valid.request(["a.proto"])).get("a_micro.ts")!;
  const constant = (name: string): string =>
    new RegExp(`const ${name}: [^]*?\n};`).exec(code)?.[0] ?? "";

  test("the service's defaults apply to its methods, field by field", () => {
    const inherits = constant("Ruled_inherits");
    expect(inherits).toContain('service: "the-name"');
    expect(inherits).toContain('idempotency: "idempotent"');
    expect(inherits).toContain("timeoutMs: 5000");
    expect(inherits).toContain(
      'retry: { attempts: 3, backoffMs: 20, maxBackoffMs: 1000, on: ["unavailable", "aborted"] }',
    );
    expect(inherits).toContain('auth: { scopes: ["read"] }');
    const overrides = constant("Ruled_overrides");
    expect(overrides).toContain("timeoutMs: 2,");
    expect(overrides).toContain(
      'retry: { attempts: 5, backoffMs: 20, maxBackoffMs: 3000, on: ["unavailable", "aborted"] }',
    );
    expect(overrides).toContain("auth: { public: true }");
  });

  test("a service's retry skips methods that may not be repeated", () => {
    expect(constant("Ruled_notRepeatable")).not.toContain("retry");
    expect(constant("Ruled_uploads")).not.toContain("retry");
    expect(constant("Ruled_uploads")).toContain("timeoutMs: 5000");
  });

  test("calls that never ran may be repeated if the schema says so explicitly", () => {
    expect(constant("Ruled_onlyNotRun")).toContain("attempts: 2, backoffMs: 20");
    expect(constant("Ruled_onlyNotRun")).toContain('on: ["unavailable"]');
    expect(constant("Ruled_onlyNotRun")).toContain("auth: {}");
  });

  test("a method without options has no policy", () => {
    expect(constant("Plain_call")).not.toMatch(/timeoutMs|retry|auth/);
    expect(constant("Plain_call")).toContain('idempotency: "unknown"');
  });

  test("the doc comments describe the policy in words", () => {
    expect(code).toContain(
      "   * Timeout 5 s; up to 3 attempts on unavailable, aborted; idempotent; requires the scope read.\n",
    );
    expect(code).toContain(
      "   * Timeout 2 ms; up to 5 attempts on unavailable, aborted; no side effects; public.\n",
    );
    expect(code).toContain("up to 2 attempts on unavailable; requires an account.");
  });

  test.each([
    ["a.proto", "test"],
    ["beta.proto", "acme.data"],
    ["v1.proto", "v1"],
    ["none.proto", "http-gateway-two"],
  ])("the service of %s is registered as %s", (file, name) => {
    const [text] = generate(valid.request([file])).values();
    expect(text).toContain(`service: "${name}"`);
  });
});

test("a foreign option with the same number is not mistaken for ours", () => {
  const foreign = compile(
    {
      "theirs.proto": `syntax = "proto3";
package theirs;
import "google/protobuf/descriptor.proto";
extend google.protobuf.MethodOptions { string note = 50801; }
service S { rpc A(M) returns (M) { option (note) = "hello"; } }
message M {}`,
    },
    { withOptions: false },
  );
  expect([...generate(foreign.request(["theirs.proto"])).keys()]).toContain("theirs_micro.ts");
});

test("an option known only to a newer schema is an error, and not ignored", () => {
  const options = readFileSync(join(repository, "proto/micro/v1/options.proto"), "utf8");
  const newer = compile(
    {
      "micro/v1/options.proto": options.replace(
        "message RetryRule {",
        "message RetryRule {\n  bool hedge = 99;",
      ),
      "newer.proto": proto(rpc(method("retry: { attempts: 2 hedge: true }"))),
    },
    { withOptions: false },
  );
  const { error, file } = protocGenMicro.run(newer.request(["newer.proto"]));
  expect(file).toEqual([]);
  expect(error).toContain(
    "rpc test.v1.S.Call: micro.v1.RetryRule has a field 99 that this version of protoc-gen-micro does not know; update protoc-gen-micro",
  );
});
