import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as runtime from "@micro-es/runtime";
import * as codegen from "@micro-es/runtime/codegenv1";
import type { Random } from "./random-message.ts";

/** What a random schema may be called by. */
export interface Naming {
  /**
   * Whether TypeScript accepts the names that protoc-gen-es assigns: no duplicate members, and none
   * without a name.
   */
  readonly typed: boolean;
}

const root = join(import.meta.dirname, "../..");

// What generated code consists of is what names can clash with.
const generatedWords = [
  ...new Set(
    [
      "test/v1/echo_micro",
      "test/v1/echo_codec",
      "bench/v1/bench_micro",
      "bench/v1/bench_codec",
    ].flatMap(
      (name) =>
        readFileSync(join(root, `test/gen/micro/${name}.ts`), "utf8").match(/[A-Za-z_]\w*/g) ?? [],
    ),
  ),
];
const keywords = (
  "await async yield let static get set of as from type interface implements package private protected public " +
  "abstract declare module namespace require exports global arguments eval new delete default class function " +
  "var const enum extends import export if else for while do switch case break continue return try catch finally " +
  "throw this super null true false typeof instanceof in void with debugger undefined NaN Infinity any never " +
  "unknown object string number boolean bigint symbol keyof readonly unique infer is asserts satisfies out override"
).split(" ");
// Of a process of its own: other tests of this one may have left more.
const globals = JSON.parse(
  execFileSync(process.execPath, [
    "--print",
    "JSON.stringify(Object.getOwnPropertyNames(globalThis))",
  ]).toString(),
) as string[];
const pool = [
  ...globals,
  ...Object.getOwnPropertyNames(Object.prototype),
  ...Object.keys(runtime),
  ...Object.keys(codegen),
  ...generatedWords,
  ...keywords,
  "next own nonzero state struct group key then close constructor to_string to_json value_of has_own_property " +
    "is_prototype_of __proto__ _2nd ___ __ _ self self_ self__ _self",
].flatMap((names) => names.split(" "));
const names = [...new Set(pool)].filter((name) => /^[A-Za-z_]\w*$/.test(name));

const prefixes = [
  "new",
  "read",
  "write",
  "is",
  "valuesOf",
  "create",
  "register",
  "Greeter_",
  "put",
];
const suffixes = [
  "Message",
  "Codec",
  "Init",
  "Topic",
  "Client",
  "Handler",
  "Schema",
  "Codecs",
  "_",
];

/** Types that protoc-gen-es writes what no compiler or engine takes for. */
const brokenTypes =
  /^(keyof|readonly|unique|infer|any|symbol|never|unknown|undefined|as|await|arguments|eval|require|exports|module|__filename|__dirname)$/;

/** The names of one scope, each of which it has once. */
class Names {
  readonly #random: Random;
  readonly taken = new Set<string>();
  readonly #known: string[];
  readonly #key: (name: string) => string | undefined;

  constructor(random: Random, known: string[], key: (name: string) => string | undefined) {
    this.#random = random;
    this.#known = known;
    this.#key = key;
  }

  next(): string {
    for (;;) {
      const name = this.#draw();
      const key = this.#key(name);
      if (key === undefined || this.taken.has(key) || this.taken.has(name)) continue;
      this.taken.add(key).add(name);
      return name;
    }
  }

  #draw(): string {
    const random = this.#random;
    if (this.#known.length === 0 || random.chance(40)) return random.pick(names);
    const type = random.pick(this.#known);
    if (type.length > 30) return random.pick(names);
    if (random.chance(20)) return type;
    return random.chance(50) ? random.pick(prefixes) + type : type + random.pick(suffixes);
  }
}

/** A .proto file with names that generated code could trip over, and one that it imports. */
export function randomSchema(
  folder: string,
  random: Random,
  { typed }: Naming,
): Record<string, string> {
  const known: string[] = [];
  const other = file(`${folder}_other`, undefined, random, typed, known);
  const main = file(`${folder}_main`, other, random, typed, known);
  return { [`${folder}/other.proto`]: other.text, [`${folder}/main.proto`]: main.text };
}

interface SchemaFile {
  readonly text: string;
  readonly path: string;
  readonly messages: readonly string[];
  readonly enums: readonly string[];
}

function file(
  packageName: string,
  imported: SchemaFile | undefined,
  random: Random,
  typed: boolean,
  known: string[],
): SchemaFile {
  const types = new Names(random, known, (name) => (brokenTypes.test(name) ? undefined : name));
  const syntax = random.pick(['syntax = "proto2"', 'syntax = "proto3"', 'edition = "2023"']);
  const take = () => {
    const name = types.next();
    known.push(name);
    return name;
  };
  const messages = Array.from({ length: 5 }, take);
  const enums = Array.from({ length: 3 }, take);
  const services = Array.from({ length: 2 }, take);
  const qualified = (name: string) => `.${packageName}.${name}`;
  const messageTypes = [...messages.map(qualified), ...(imported?.messages ?? [])];
  // An open enum cannot have a closed one's field.
  const enumTypes = [
    ...enums.map(qualified),
    ...(syntax.includes("proto3") ? [] : (imported?.enums ?? [])),
  ];
  const parts: string[] = [
    `${syntax};`,
    `package ${packageName};`,
    'import "micro/v1/options.proto";',
    'import "google/protobuf/empty.proto";',
    'import "google/protobuf/struct.proto";',
    'import "google/protobuf/wrappers.proto";',
    ...(imported === undefined ? [] : [`import "${imported.path}";`]),
  ];
  enums.forEach((name, index) => {
    const values = [`E${index}_ZERO = 0`, `E${index}_ONE = 1`, `E${index}_FIVE = 5`];
    parts.push(`enum ${name} { ${values.join("; ")}; }`);
  });
  messages.forEach((name, index) => {
    const topic = index === 0 ? `option (.micro.v1.topic) = { name: "${packageName}.event" };` : "";
    parts.push(
      `message ${name} { ${topic} ${fields(syntax, messageTypes, enumTypes, random, typed, known)} }`,
    );
  });
  for (const name of services) {
    const rpcs = new Names(random, known, (name) => name);
    const lines = Array.from({ length: 5 }, () => {
      const stream = () => (random.chance(30) ? "stream " : "");
      const [input, output] = [random.pick(messageTypes), random.pick(messageTypes)];
      return `rpc ${rpcs.next()}(${stream()}${input}) returns (${stream()}${output});`;
    });
    lines.push(
      `rpc ${rpcs.next()}(${messageTypes[0]}) returns (.google.protobuf.Empty) { option (.micro.v1.subscribe) = {}; }`,
    );
    parts.push(`service ${name} { ${lines.join(" ")} }`);
  }
  return {
    text: parts.join("\n"),
    path: packageName.replace("_", "/").concat(".proto"),
    messages: messages.map(qualified),
    enums: enums.map(qualified),
  };
}

function fields(
  syntax: string,
  messages: readonly string[],
  enums: readonly string[],
  random: Random,
  typed: boolean,
  known: string[],
): string {
  const proto2 = syntax.includes("proto2");
  const local = (name: string) => name.replace(/_(.?)/g, (_, next: string) => next.toUpperCase());
  const members = new Names(random, known, (name) =>
    typed && !/^[A-Za-z]/.test(local(name)) ? undefined : local(name),
  );
  // Compilers let two fields of proto2 differ by an underscore only.
  const twin = (name: string) => {
    if (typed || members.taken.has(`${name}_`)) return undefined;
    members.taken.add(`${name}_`);
    return `${name}_`;
  };
  let number = 0;
  const field = (type: string, label: string, options: readonly string[] = []): string => {
    const declare = (name: string) => {
      number++;
      const all = [`json_name = "j${number}"`, ...options].join(", ");
      return `${label} ${type} ${name} = ${number} [${all}];`;
    };
    const name = members.next();
    const other = proto2 && label !== "" && random.chance(20) ? twin(name) : undefined;
    return other === undefined ? declare(name) : `${declare(name)} ${declare(other)}`;
  };
  const scalars = [
    "int32 uint32 sint32 fixed32 sfixed32 int64 uint64 sint64 fixed64 sfixed64",
    "float double bool string bytes",
  ].flatMap((list) => list.split(" "));
  const scalar = () => random.pick(scalars);
  const singular = proto2 ? "optional" : "";
  const make: readonly (() => string)[] = [
    () => field(scalar(), singular),
    () => field("int64", singular, random.chance(50) ? ["jstype = JS_STRING"] : []),
    () => field("bool", singular),
    () =>
      field(
        "double",
        singular,
        syntax.includes("proto3") ? [] : [`default = ${random.pick(["inf", "nan", "-inf"])}`],
      ),
    () => field("bytes", singular, syntax.includes("proto3") ? [] : ['default = "xy"']),
    () => field(random.pick(enums), singular),
    () => field(random.pick(messages), singular),
    () => field(scalar(), "repeated"),
    () => field(random.pick(enums), "repeated"),
    () => field(random.pick(messages), "repeated"),
    () => field(".google.protobuf.Struct", singular),
    () => field(".google.protobuf.Int64Value", singular),
    () => field(`map<${random.pick(["string", "int32", "int64", "bool"])}, ${scalar()}>`, ""),
    () => field(`map<string, ${random.pick(messages)}>`, ""),
    () => field(`map<int32, ${random.pick(enums)}>`, ""),
  ];
  const lines = Array.from({ length: 8 }, () => random.pick(make)());
  lines.push(
    `oneof ${members.next()} { ${field(scalar(), "")} ${field(random.pick(messages), "")} ${field(random.pick(enums), "")} }`,
  );
  return lines.join(" ");
}
