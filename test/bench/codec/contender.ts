import { join } from "node:path";
import type { DescMessage } from "@bufbuild/protobuf";
import { bytesOf, type Fixture, fixtures } from "./fixtures.ts";

/** The codec of a contender, for one fixture. */
export interface Loaded {
  decode(bytes: Uint8Array): unknown;
  /** Into an array that no other code writes to. */
  encode(message: unknown): Uint8Array;
  /** Into an array that the caller owns. */
  encodeInto?(message: unknown, target: Uint8Array): number;
}

/** A measured implementation. */
export interface Contender {
  readonly name: string;
  /** @param folder the output of `prepare` */
  load(fixture: Fixture, folder: string): Promise<Loaded>;
}

/** A contender's codec for a fixture, and the fixture's bytes. */
export interface Case {
  readonly fixture: Fixture;
  readonly codec: Loaded;
  readonly bytes: Uint8Array;
}

/** Stores results, so that the engine cannot remove the work as unused. */
let sink: unknown;

/**
 * A contender's codecs for all fixtures. Each has processed all of them before the measurement, as
 * in a program with more than one message.
 */
export async function casesOf(contender: Contender, folder: string): Promise<Case[]> {
  const cases: Case[] = [];
  for (const fixture of fixtures) {
    const module = join(folder, `${fixture.proto}_pb.ts`);
    const schemas = (await import(module)) as Record<string, DescMessage>;
    const bytes = bytesOf(schemas[`${fixture.typeName.split(".").at(-1)}Schema`]!, fixture);
    const codec = await contender.load(fixture, folder);
    const { length } = codec.encode(codec.decode(bytes));
    if (length !== bytes.length) {
      const { name } = contender;
      throw new Error(`${name} writes ${fixture.name} in ${length} bytes, not ${bytes.length}`);
    }
    for (let i = 0; i < 20; i++) sink = codec.encode(codec.decode(bytes));
    cases.push({ fixture, codec, bytes });
  }
  if (sink === undefined) throw new Error("nothing was encoded");
  return cases;
}
