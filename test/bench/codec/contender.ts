import { join } from "node:path";
import type { DescMessage } from "@bufbuild/protobuf";
import { bytesOf, type Fixture, fixtures } from "./fixtures.ts";

/** A codec that is measured, for one fixture. */
export interface Loaded {
  decode(bytes: Uint8Array): unknown;
  /** Into an array that nobody else writes to. */
  encode(message: unknown): Uint8Array;
  /** Into an array that the caller owns. */
  encodeInto?(message: unknown, target: Uint8Array): number;
}

/** One of those that are measured. */
export interface Contender {
  readonly name: string;
  /** @param folder holds what `prepare` generated */
  load(fixture: Fixture, folder: string): Promise<Loaded>;
}

/** A contender's codec for a fixture, and the bytes of that. */
export interface Case {
  readonly fixture: Fixture;
  readonly codec: Loaded;
  readonly bytes: Uint8Array;
}

/** Where results go, so that nobody can tell that they are of no use. */
let sink: unknown;

/**
 * A contender's codecs for all fixtures. Each has met all of them before anything is measured, as in a program that has more
 * than one message.
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
