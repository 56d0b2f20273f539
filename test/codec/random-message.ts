import {
  create,
  type DescField,
  type DescMessage,
  type Message,
  ScalarType,
} from "@bufbuild/protobuf";

/** Random choices that are the same for the same seed (mulberry32). */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** A whole number from 0 to below the limit. */
  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * limit);
  }

  chance(percent: number): boolean {
    return this.below(100) < percent;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }
}

/**
 * A message of a type with random contents, of every kind that its fields have, as protobuf-es
 * makes it.
 */
export function randomMessage(schema: DescMessage, random: Random, depth = 3): Message {
  return create(schema, randomInit(schema, random, depth) as never) as Message;
}

function randomInit(schema: DescMessage, random: Random, depth: number): object {
  const init: Record<string, unknown> = {};
  // Large messages have something of everything all the same, over a few of them.
  const percent = schema.fields.length > 40 ? 25 : 60;
  for (const member of schema.members) {
    if (member.kind === "oneof") {
      if (!random.chance(70)) continue;
      const field = random.pick(member.fields);
      const value = randomField(field, random, depth);
      if (value !== undefined) init[member.localName] = { case: field.localName, value };
      continue;
    }
    // Presence 3: without it, nothing can be written.
    if (member.presence !== 3 && !random.chance(percent)) continue;
    const value = randomField(member, random, member.presence === 3 ? Math.max(depth, 1) : depth);
    if (value !== undefined) init[member.localName] = value;
  }
  return init;
}

function randomField(field: DescField, random: Random, depth: number): unknown {
  switch (field.fieldKind) {
    case "scalar":
      return randomScalar(field.scalar, field.longAsString, random);
    case "enum":
      return random.pick(field.enum.values).number;
    case "message":
      return randomChild(field, random, depth);
    case "list": {
      const items: unknown[] = [];
      for (let count = random.below(4); count > 0; count--) {
        const item =
          field.listKind === "message"
            ? randomChild(field, random, depth)
            : field.listKind === "enum"
              ? random.pick(field.enum.values).number
              : randomScalar(field.scalar, field.longAsString, random);
        if (item !== undefined) items.push(item);
      }
      return items;
    }
    case "map": {
      const map: Record<string, unknown> = {};
      for (let count = random.below(4); count > 0; count--) {
        const value =
          field.mapKind === "message"
            ? randomChild(field, random, depth)
            : field.mapKind === "enum"
              ? random.pick(field.enum.values).number
              : randomScalar(field.scalar, false, random);
        if (value !== undefined) map[String(randomScalar(field.mapKey, false, random))] = value;
      }
      return map;
    }
  }
}

function randomChild(field: DescField, random: Random, depth: number): unknown {
  const message = field.message!;
  if (depth <= 0) return undefined;
  if (
    message.typeName === "google.protobuf.Struct" &&
    field.parent.typeName !== "google.protobuf.Value"
  ) {
    return { text: "x", number: random.below(100), list: [null, true], nested: { empty: {} } };
  }
  const wrapped = /^google\.protobuf\.(\w+)Value$/.exec(message.typeName);
  const [inner] = message.fields;
  if (
    field.fieldKind === "message" &&
    field.oneof === undefined &&
    wrapped !== null &&
    inner?.fieldKind === "scalar"
  ) {
    return randomScalar(inner.scalar, false, random);
  }
  return randomInit(message, random, depth - 1);
}

const texts = [
  "",
  "a",
  "text",
  "é",
  "a longer text of ASCII letters",
  "😀 and more",
  "__proto__",
  "\uFFFD",
  "x".repeat(130),
];
const int32s = [0, 1, -1, 127, 128, 16383, 16384, 2 ** 31 - 1, -(2 ** 31)];
const uint32s = [0, 1, 127, 128, 300, 2 ** 21, 2 ** 28, 2 ** 31, 2 ** 32 - 1];
const int64s = [
  0n,
  1n,
  -1n,
  127n,
  2n ** 31n,
  2n ** 32n,
  2n ** 35n,
  -(2n ** 40n),
  2n ** 63n - 1n,
  -(2n ** 63n),
];
const uint64s = [0n, 1n, 128n, 2n ** 32n - 1n, 2n ** 35n, 2n ** 49n, 2n ** 63n, 2n ** 64n - 1n];
const doubles = [
  0,
  -0,
  1.5,
  -1.5,
  1e300,
  5e-324,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  Number.NaN,
];
const floats = [0, -0, 1.5, -2.25, Math.fround(3.4e38), Number.POSITIVE_INFINITY, Number.NaN];

function randomScalar(type: ScalarType, longAsString: boolean, random: Random): unknown {
  switch (type) {
    case ScalarType.STRING:
      return random.chance(50) ? random.pick(texts) : String(random.below(1e6));
    case ScalarType.BYTES:
      return Uint8Array.from({ length: random.below(6) }, () => random.below(256));
    case ScalarType.BOOL:
      return random.chance(50);
    case ScalarType.DOUBLE:
      return random.pick(doubles);
    case ScalarType.FLOAT:
      return random.pick(floats);
    case ScalarType.INT32:
    case ScalarType.SINT32:
    case ScalarType.SFIXED32:
      return random.pick(int32s);
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return random.pick(uint32s);
    default: {
      const unsigned = type === ScalarType.UINT64 || type === ScalarType.FIXED64;
      const value = random.pick(unsigned ? uint64s : int64s);
      return longAsString ? String(value) : value;
    }
  }
}
