import { create, type DescMessage, type Message, toBinary } from "@bufbuild/protobuf";

/** A message that every contender decodes and encodes. */
export interface Fixture {
  readonly name: string;
  /** The .proto file in `proto`, without its extension. */
  readonly proto: string;
  readonly typeName: string;
  /** The message as protobuf-es' `create` takes it. */
  readonly init: object;
}

/** Numbers that look random and are the same in each run. */
export function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const words = "alpha bravo charlie delta echo foxtrot golf hotel india juliett".split(" ");

function small(): object {
  return {
    id: "request 4711 of the day",
    sequence: 9000,
    load: 0.25,
    origin: {
      zone: 20161110,
      stamp: { at: 1051n, kind: 3, offset: -42 },
      flags: { bits: [true, false, false, true, false, false, true], weight: 204.8 },
    },
  };
}

function every(): object {
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

function map(): object {
  const random = numbers(2);
  const layer = (name: string, count: number, points: number) => ({
    version: 2,
    name,
    keys: words.slice(0, 6),
    values: Array.from(
      { length: 60 },
      (_, index) =>
        [
          { stringValue: `${words[index % 10]} street ${index}` },
          { uintValue: BigInt(random(100_000)) },
          { doubleValue: random(10_000) / 7 },
          { boolValue: true },
        ][index % 4],
    ),
    features: Array.from({ length: count }, (_, index) => ({
      id: BigInt(1_000_000 + index),
      tags: Array.from({ length: 6 }, (_, i) => (i % 2 === 0 ? i / 2 : random(60))),
      shape: 1 + (index % 3),
      geometry: [9, random(8192), random(8192), (points << 3) | 2].concat(
        Array.from({ length: 2 * points }, () => random(random(4) === 0 ? 2000 : 120)),
      ),
    })),
  });
  return {
    layers: [
      layer("water", 120, 60),
      layer("roads", 520, 25),
      layer("buildings", 660, 22),
      layer("places", 300, 3),
    ],
  };
}

export const fixtures: readonly Fixture[] = [
  { name: "small", proto: "small", typeName: "small.Ping", init: small() },
  { name: "every kind", proto: "every", typeName: "every.Report", init: every() },
  { name: "geometry", proto: "map", typeName: "map.Square", init: map() },
];

/** The bytes that the contenders decode. */
export function bytesOf(schema: DescMessage, fixture: Fixture): Uint8Array {
  return toBinary(schema, create(schema, fixture.init as never) as Message);
}
