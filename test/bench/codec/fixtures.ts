import { create, type DescMessage, type Message, toBinary } from "@bufbuild/protobuf";

/** A message that every contender decodes and encodes. */
export interface Fixture {
  readonly name: string;
  /** The .proto file in `proto`, without its extension. */
  readonly proto: string;
  readonly typeName: string;
  /** The message as an initializer for protobuf-es' `create`. */
  readonly init: object;
  /** Whether the goals apply to it. The other fixtures show what those three do not. */
  readonly hasGoals: boolean;
}

/** Pseudo-random numbers, the same in each run. */
export function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const words = "alpha bravo charlie delta echo foxtrot golf hotel india juliett".split(" ");

/** Like `common` of protobuf.js' benchmark: four small messages with a text of 27 characters. */
function small(): object {
  return {
    id: "request 4711 of this monday",
    sequence: 9000,
    load: 0.25,
    origin: {
      zone: 20161110,
      stamp: { at: 1_700_000_000_000_051n, kind: 1, offset: -42 },
      flags: { bits: [true, false, false, true, false, false, true], weight: 204.8 },
    },
  };
}

/** 30 integers of one to three bytes each. */
const growing = Array.from({ length: 30 }, (_, i) => Math.floor(1.57 ** i));

/**
 * Like `buf-perf` of protobuf.js' benchmark: lists and maps of thirty, half of the bytes in long
 * texts and blobs, and seventeen messages of eight fields and a list.
 */
function every(): object {
  const pick = <T>(from: readonly T[]) => growing.map((n) => from[n % from.length]!);
  const text = (length: number) =>
    Array.from({ length }, (_, i) => words[i % 10])
      .join(" ")
      .slice(0, length);
  const lengths = [660, 500, 500, 690, 750, 660, 750, 750, 500, 530];
  const part = (id: number) => ({
    ratio: 6.02214076,
    count: 4077,
    takenAt: 1_795_000_000_000n,
    complete: true,
    title: "part of many",
    state: 1,
    numbers: growing,
    id,
    revision: 2050,
  });
  const encoder = new TextEncoder();
  return {
    ...part(0),
    signature: encoder.encode("signature ok"),
    previous: part(0),
    aFloat: 0.5,
    aSint32: -70,
    aSint64: -70_000_000_000n,
    aUint64: 2n ** 63n,
    aFixed32: 4_000_000_000,
    aFixed64: 2n ** 63n,
    aSfixed32: -70,
    aSfixed64: -70_000_000_000n,
    samples: growing.map((n) => n + n / 1e6),
    totals: growing.map(BigInt),
    marks: pick([true, false, false]),
    labels: pick(words),
    notes: lengths.map(text),
    keys: pick(words).map((it) => encoder.encode(it)),
    blobs: lengths.map((it) => encoder.encode(text(it))),
    states: pick([0, 1, 2]),
    parts: Array.from({ length: 10 }, (_, id) => part(id)),
    counts: Object.fromEntries(growing.map((n, i) => [1 + i, n])),
    sums: Object.fromEntries(growing.map((n, i) => [1 + i, BigInt(n)])),
    byName: Object.fromEntries(Array.from({ length: 5 }, (_, id) => [id, part(id)])),
    stateOf: Object.fromEntries(pick([1, 2]).map((state, i) => [1 + i, state])),
    verdict: { case: "guessed", value: 1 },
    origin: { case: "copiedFrom", value: part(0) },
    limit: { case: "unlimited", value: true },
  };
}

/** A report of a fleet: messages of thirty fields, with many short texts, small lists and maps. */
function fleet(): object {
  const random = numbers(1);
  const word = () => words[random(words.length)]!;
  const place = () => ({
    name: `${word()} ${word()}`,
    latitude: random(180_000) / 1000 - 90,
    longitude: random(360_000) / 1000 - 180,
  });
  const machine = (index: number) => ({
    aInt32: random(2 ** 31) * (index % 2 === 0 ? 1 : -1),
    aInt64: BigInt(random(2 ** 31)) * 100_000n * (index % 3 === 0 ? -1n : 1n),
    aUint32: random(2 ** 32),
    aUint64: BigInt(random(2 ** 32)) * 3n,
    aSint32: -random(5000),
    aSint64: -BigInt(random(5_000_000)),
    aFixed32: random(2 ** 32),
    aFixed64: BigInt(random(2 ** 32)) << 20n,
    aSfixed32: -random(2 ** 31),
    aSfixed64: -(BigInt(random(2 ** 32)) << 10n),
    aFloat: random(1000) / 8,
    aDouble: random(1_000_000) / 7,
    aBool: true,
    aString: index % 5 === 0 ? `${word()} — Grüße aus der Höhe` : `${word()} ${word()} ${word()}`,
    aBytes: Uint8Array.from({ length: 24 }, () => random(256)),
    state: random(3),
    place: place(),
    maybe: random(2),
    numbers: Array.from({ length: 12 }, () => random(100_000)),
    labels: Array.from({ length: 5 }, word),
    samples: Array.from({ length: 8 }, () => random(1_000_000) / 3),
    places: Array.from({ length: 3 }, place),
    states: Array.from({ length: 6 }, () => random(3)),
    blobs: [Uint8Array.from({ length: 8 }, () => random(256))],
    tags: { zone: word(), owner: `${word()}-${random(100)}` },
    counts: { 1: random(1000), 2: random(1000) },
    rooms: { [word()]: place() },
    choice: [
      { case: "text", value: word() },
      { case: "number", value: random(1000) },
      { case: "elsewhere", value: place() },
    ][index % 3],
  });
  const machines = Array.from({ length: 22 }, (_, index) => machine(index));
  return { title: "all machines", machines, byName: { first: machine(22), last: machine(23) } };
}

/**
 * Like `vector-tile` of protobuf.js' benchmark: features with two short packed lists each, of
 * numbers of one or two bytes, and small messages for their values.
 */
function map(): object {
  const random = numbers(2);
  const layer = (
    name: string,
    features: number,
    keys: number,
    values: number,
    tags: number,
    points: () => number,
  ) => ({
    version: 2,
    name,
    keys: Array.from({ length: keys }, (_, i) => words[i % 10]),
    values: Array.from({ length: values }, (_, i) =>
      i % 3 === 0
        ? {
            stringValue: `${words[random(10)]} ${words[random(10)]} ${random(1000)}`.slice(
              0,
              3 + random(30),
            ),
          }
        : {
            intValue:
              random(2) === 0
                ? BigInt(random(300_000_000))
                : 1_000_000_000_000n + BigInt(random(300_000_000)),
          },
    ),
    features: Array.from({ length: features }, (_, i) => {
      const count = points();
      const move = () => random(random(3) === 0 ? 4096 : 127);
      return {
        id:
          i % 4 === 0
            ? 2n ** 64n - BigInt(1 + random(2 ** 31))
            : 1_000_000_000_000n + BigInt(random(2 ** 28)),
        tags: Array.from({ length: tags }, (_, at) => (at % 2 === 0 ? at / 2 : random(values))),
        shape: count === 1 ? 1 : 2 + (i % 2),
        geometry: [9, random(4096), random(4096)].concat(
          count === 1
            ? []
            : [((count - 1) << 3) | 2, ...Array.from({ length: 2 * (count - 1) }, move)],
        ),
      };
    }),
  });
  const few = () => 5 + random(2) + (random(8) === 0 ? random(30) : random(4));
  const point = () => 1;
  const line = () => 2 + (random(4) === 0 ? random(16) : random(3));
  return {
    layers: [
      layer("landuse", 44, 3, 52, 4, few),
      layer("building", 821, 1, 824, 2, few),
      layer("road", 175, 4, 198, 8, line),
      layer("place", 287, 14, 887, 22, point),
      layer("road name", 337, 10, 791, 16, line),
      layer("house number", 275, 2, 499, 4, point),
    ],
  };
}

export const fixtures: readonly Fixture[] = [
  { name: "small", proto: "small", typeName: "small.Ping", init: small(), hasGoals: true },
  { name: "every kind", proto: "every", typeName: "every.Report", init: every(), hasGoals: true },
  { name: "geometry", proto: "map", typeName: "map.Square", init: map(), hasGoals: true },
  { name: "fleet", proto: "fleet", typeName: "fleet.Report", init: fleet(), hasGoals: false },
];

/** The bytes that the contenders decode. */
export function bytesOf(schema: DescMessage, fixture: Fixture): Uint8Array {
  return toBinary(schema, create(schema, fixture.init as never) as Message);
}
