import { type DescField, type DescMessage, type Registry, ScalarType } from "@bufbuild/protobuf";
import { defaultMaxElements, tooManyElements } from "./message-elements.ts";
import { elementCost, messageCost } from "./message-type.ts";

/** The deepest nesting allowed in JSON. */
const deepest = 1_000;

/**
 * How often the whole text may be scanned to find the types of Any: a nested Any is scanned again
 * for each one around it.
 */
const mostLookAheads = 8;

/**
 * The longest number, in characters. The longest exact decimal form of a double has 1,077; the time
 * to read a longer one grows with the square of its length.
 */
const longestNumber = 1_100;

/**
 * The cost of the parts of JSON in addition to those of the resulting message, in sixteenths of an
 * element.
 */
const jsonCost = {
  /** A field name, which is looked up. */
  field: 20,
  /**
   * A name that is not known in advance, as in a map or for a field that the schema does not have.
   */
  name: 56,
  value: 8,
  /** A value in a google.protobuf.Struct, which is a message. */
  structValue: 28,
} as const;

/** The expected meaning of a JSON value, as far as reading it exactly depends on it. */
type Expected = DescMessage | "int64" | "int32" | "float" | "struct" | "other";

/**
 * Makes ProtoJSON safe for `JSON.parse` and protobuf-es, which change some values without an error:
 * 64-bit numbers beyond 2^53 are quoted so that they keep their value. Values that cannot be kept,
 * and text that would take too long to read, are rejected.
 *
 * @param registry types that a `google.protobuf.Any` may hold
 * @param maxElements see {@link defaultMaxElements}
 * @returns text with the same meaning; the text itself if nothing needs to change, or if it is not
 * JSON at all
 * @throws MicroError `resource_exhausted` when there are too many elements
 * @throws Error for a repeated member, a timestamp that does not exist and a number with too many
 * digits.
 */
export function exactJson(
  text: string,
  schema: DescMessage,
  registry?: Registry,
  maxElements: number = defaultMaxElements,
): string {
  return new ExactJson(text, registry, maxElements).read(schema);
}

class NotJson extends Error {}

class ExactJson {
  readonly #text: string;
  readonly #registry: Registry | undefined;
  #at = 0;
  #depth = 0;
  #copied = 0;
  #out = "";
  /** Characters scanned so far to find the types of Any. */
  #lookedAhead = 0;
  readonly #maxElements: number;
  /** The remaining budget for the rest of the text. */
  #left: number;
  #typeName = "";

  constructor(text: string, registry: Registry | undefined, maxElements: number) {
    this.#text = text;
    this.#registry = registry;
    this.#maxElements = maxElements;
    this.#left = maxElements * elementCost.element;
  }

  read(schema: DescMessage): string {
    this.#typeName = schema.typeName;
    try {
      this.#value(schema, "");
    } catch (reason) {
      // JSON.parse reports the error with a better message.
      if (reason instanceof NotJson) return this.#text;
      throw reason;
    }
    return this.#out === "" ? this.#text : this.#out + this.#text.slice(this.#copied);
  }

  #value(expected: Expected, where: string): void {
    this.#take(expected === "struct" ? jsonCost.structValue : jsonCost.value);
    this.#blank();
    const first = this.#text[this.#at];
    if (first === "{") this.#object(expected, where);
    else if (first === "[") this.#array(expected, where);
    else if (first === '"') this.#string(expected, where);
    else if (first !== undefined && /[-0-9]/.test(first)) this.#number(expected);
    else this.#token(/true|false|null/y);
  }

  #object(expected: Expected, where: string): void {
    const message = typeof expected === "string" ? undefined : expected;
    this.#take(message === undefined ? elementCost.element : messageCostOf(message));
    const inside = holdsAnyJson(expected) ? "struct" : "other";
    const held = message?.typeName === "google.protobuf.Any" ? this.#heldType() : undefined;
    const names = new Set<string>();
    this.#members((name) => {
      const field = message && inside === "other" ? fieldsOf(held ?? message).get(name) : undefined;
      this.#take(field === undefined ? jsonCost.name : jsonCost.field);
      // A field may appear under either of its names.
      const key = field === undefined ? name : field.jsonName;
      if (names.has(key))
        throw new Error(
          `${where === "" ? "" : `${where}: `}member ${JSON.stringify(name.slice(0, 100))} is repeated`,
        );
      names.add(key);
      const path = where === "" ? name : `${where}.${name}`;
      if (held !== undefined && field === undefined && name === "value") this.#value(held, path);
      else if (field?.fieldKind === "map") this.#map(field, path);
      else this.#value(field === undefined ? inside : expectedOf(field), path);
    });
  }

  #map(field: DescField & { fieldKind: "map" }, where: string): void {
    this.#blank();
    if (this.#text[this.#at] !== "{") {
      this.#value("other", where);
      return;
    }
    const keys = new Set<string>();
    const expected = expectedOfMap(field);
    this.#members((key) => {
      this.#take(jsonCost.name);
      if (keys.has(key))
        throw new Error(`${where}: key ${JSON.stringify(key.slice(0, 100))} is repeated`);
      keys.add(key);
      if (numericTypes.has(field.mapKey) && !isIntegerText(key))
        throw new Error(`${where}: key ${JSON.stringify(key.slice(0, 100))} is not an integer`);
      this.#value(expected, where);
    });
  }

  /** The members of an object. @param take reads the value of the member with this name. */
  #members(take: (name: string) => void): void {
    this.#enter();
    this.#at++;
    this.#blank();
    if (this.#text[this.#at] === "}") this.#at++;
    else {
      do {
        this.#blank();
        const name = JSON.parse(this.#token(stringToken)) as string;
        this.#blank();
        this.#token(/:/y);
        take(name);
        this.#blank();
      } while (this.#token(/[,}]/y) === ",");
    }
    this.#depth--;
  }

  #array(list: Expected, where: string): void {
    this.#enter();
    const expected = holdsAnyJson(list) ? "struct" : list;
    this.#at++;
    this.#blank();
    if (this.#text[this.#at] === "]") this.#at++;
    else {
      do {
        this.#value(expected, where);
        this.#blank();
      } while (this.#token(/[,\]]/y) === ",");
    }
    this.#depth--;
  }

  #string(expected: Expected, where: string): void {
    const token = this.#token(stringToken);
    if (expected === "other" || expected === "struct") return;
    const kind = typeof expected === "string" ? expected : numericWrappers.get(expected.typeName);
    if (kind !== undefined) {
      if (isNumberText(JSON.parse(token) as string, kind)) return;
      throw new Error(`${where === "" ? "" : `${where}: `}${token.slice(0, 100)} is not a number`);
    }
    if (typeof expected === "string") return;
    if (expected.typeName === "google.protobuf.FieldMask") this.#paths(token);
    if (expected.typeName !== "google.protobuf.Timestamp") return;
    if (!isPossibleTime(JSON.parse(token) as string)) {
      throw new Error(
        `${where === "" ? "" : `${where}: `}${token.slice(0, 100)} is not a possible time`,
      );
    }
  }

  /**
   * The paths of a field mask are one string, in which a capital letter stands for two characters
   * of a name.
   */
  #paths(token: string): void {
    for (let at = 0; at < token.length; at++) {
      const code = token.charCodeAt(at);
      if (code === comma || (code >= capitalA && code <= capitalZ)) this.#take(elementCost.text);
    }
  }

  #number(expected: Expected): void {
    const start = this.#at;
    const token = this.#token(numberToken);
    if (token.length > longestNumber) {
      throw new Error(
        `a number has ${token.length} characters, more than the ${longestNumber} that are read`,
      );
    }
    const value = Number(token);
    if (!Number.isFinite(value)) throw new Error(`${token.slice(0, 100)} is out of range`);
    const isInt64 =
      expected === "int64" ||
      (typeof expected === "object" && numericWrappers.get(expected.typeName) === "int64");
    if (!isInt64 || Number.isSafeInteger(value)) return;
    this.#out += `${this.#text.slice(this.#copied, start)}"${integerText(token)}"`;
    this.#copied = this.#at;
  }

  /** The type named by an Any, if it is known; `@type` may be any of its members. */
  #heldType(): DescMessage | undefined {
    if (this.#registry === undefined) return undefined;
    const start = this.#at;
    const depth = this.#depth;
    const url = this.#typeUrl();
    this.#lookedAhead += this.#at - start;
    if (this.#lookedAhead > mostLookAheads * this.#text.length) {
      throw new Error(`"@type" must be the first member where Any is nested in Any`);
    }
    this.#at = start;
    this.#depth = depth;
    return this.#registry.getMessage(url.slice(url.lastIndexOf("/") + 1));
  }

  /** The text of the member `@type` of the object that begins here; empty if it has none. */
  #typeUrl(): string {
    this.#at++;
    this.#blank();
    if (this.#text[this.#at] === "}") return "";
    do {
      this.#blank();
      const name = JSON.parse(this.#token(stringToken)) as string;
      this.#blank();
      this.#token(/:/y);
      this.#blank();
      if (name === "@type" && this.#text[this.#at] === '"') {
        return JSON.parse(this.#token(stringToken)) as string;
      }
      this.#value("other", name);
      this.#blank();
    } while (this.#token(/[,}]/y) === ",");
    return "";
  }

  #enter(): void {
    if (++this.#depth > deepest) throw new Error(`it is nested deeper than ${deepest} levels`);
  }

  #blank(): void {
    for (;;) {
      const code = this.#text.charCodeAt(this.#at);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
      this.#at++;
    }
  }

  #take(cost: number): void {
    this.#left -= cost;
    if (this.#left >= 0) return;
    const what = `JSON of ${this.#text.length} characters for a message ${this.#typeName}`;
    throw tooManyElements(what, this.#maxElements);
  }

  #token(token: RegExp): string {
    token.lastIndex = this.#at;
    const taken = token.exec(this.#text)?.[0];
    if (taken === undefined) throw new NotJson();
    this.#at += taken.length;
    return taken;
  }
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what JSON does not allow in a string
const stringToken = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const comma = 0x2c;
const capitalA = 0x41;
const capitalZ = 0x5a;
const numberToken = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?/y;
type NumberKind = "int64" | "int32" | "float";
const numericWrappers: ReadonlyMap<string, NumberKind> = new Map([
  ["google.protobuf.Int64Value", "int64"],
  ["google.protobuf.UInt64Value", "int64"],
  ["google.protobuf.Int32Value", "int32"],
  ["google.protobuf.UInt32Value", "int32"],
  ["google.protobuf.FloatValue", "float"],
  ["google.protobuf.DoubleValue", "float"],
]);
const numericTypes: ReadonlyMap<ScalarType, NumberKind> = new Map([
  [ScalarType.INT64, "int64"],
  [ScalarType.UINT64, "int64"],
  [ScalarType.SINT64, "int64"],
  [ScalarType.FIXED64, "int64"],
  [ScalarType.SFIXED64, "int64"],
  [ScalarType.INT32, "int32"],
  [ScalarType.UINT32, "int32"],
  [ScalarType.SINT32, "int32"],
  [ScalarType.FIXED32, "int32"],
  [ScalarType.SFIXED32, "int32"],
  [ScalarType.FLOAT, "float"],
  [ScalarType.DOUBLE, "float"],
]);
const fieldsByDesc = new WeakMap<DescMessage, Map<string, DescField>>();

function fieldsOf(desc: DescMessage): ReadonlyMap<string, DescField> {
  let fields = fieldsByDesc.get(desc);
  if (fields === undefined) {
    fields = new Map();
    for (const field of desc.fields) fields.set(field.name, field).set(field.jsonName, field);
    fieldsByDesc.set(desc, fields);
  }
  return fields;
}

const costs = new WeakMap<DescMessage, number>();

function messageCostOf(schema: DescMessage): number {
  let cost = costs.get(schema);
  if (cost === undefined) {
    cost = messageCost(schema);
    costs.set(schema, cost);
  }
  return cost;
}

/** Whether the members or elements of such a value are google.protobuf.Struct values. */
function holdsAnyJson(expected: Expected): boolean {
  return typeof expected === "string" ? expected === "struct" : anyJson.has(expected.typeName);
}

const anyJson: ReadonlySet<string> = new Set([
  "google.protobuf.Struct",
  "google.protobuf.Value",
  "google.protobuf.ListValue",
]);

function expectedOf(field: DescField): Expected {
  if (field.message !== undefined && field.fieldKind !== "map") return field.message;
  return (field.scalar !== undefined && numericTypes.get(field.scalar)) || "other";
}

function expectedOfMap(field: DescField & { fieldKind: "map" }): Expected {
  if (field.message !== undefined) return field.message;
  return (field.scalar !== undefined && numericTypes.get(field.scalar)) || "other";
}

/**
 * Number() and BigInt() also accept surrounding whitespace, empty text, and hexadecimal and binary
 * numbers.
 */
function isNumberText(text: string, kind: NumberKind): boolean {
  if (text.length > longestNumber) return false;
  if (kind === "float" && /^(?:NaN|-?Infinity)$/.test(text)) return true;
  return /^-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?$/.test(text);
}

function isIntegerText(text: string): boolean {
  return text.length <= longestNumber && /^-?[0-9]+$/.test(text);
}

/**
 * Converts a number of a relevant size to an integer without an exponent; returns any other as is,
 * to be rejected later.
 */
function integerText(token: string): string {
  const [, sign = "", whole = "", fraction = "", exponent = "0"] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([-+]?\d+))?$/.exec(token) ?? [];
  const shift = Number(exponent) - fraction.length;
  const digits = whole + fraction;
  if (digits.length + shift > 40) return token;
  if (shift >= 0) return `${sign}${digits}${"0".repeat(shift)}`;
  const end = digits.length + shift;
  return end > 0 && /^0*$/.test(digits.slice(end)) ? `${sign}${digits.slice(0, end)}` : token;
}

/** Date.parse reads the 30th of February as the 2nd of March, and 24:00 as the next day. */
function isPossibleTime(text: string): boolean {
  const parts = /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})/.exec(text);
  if (parts === null) return true;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts
    .slice(1)
    .map(Number);
  const days = new Date(Date.UTC(year, month, 0)).getUTCDate();
  const inDay = hour <= 23 && minute <= 59 && second <= 59;
  return month >= 1 && month <= 12 && day >= 1 && day <= days && inDay;
}
