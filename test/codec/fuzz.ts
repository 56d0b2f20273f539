import { fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import type { TestCodec } from "./generated.ts";
import { held } from "./held.ts";
import { toHex } from "./hex.ts";
import type { Judge } from "./judge.ts";
import { mutated } from "./mutate.ts";
import { Random, randomMessage } from "./random-message.ts";
import { sameMessage } from "./same-message.ts";

/** What became of the inputs. */
export interface FuzzReport {
  inputs: number;
  /** Messages that protobuf-es had written, read and written again alike. */
  valid: number;
  /** Changed bytes that both refuse. */
  refused: number;
  /** Changed bytes that both read alike. */
  equal: number;
  /**
   * Disagreements that are explained, most of them because protoc sides with us, with how many
   * there were of each.
   */
  readonly explained: Map<string, number>;
  /** Unexplained differences. */
  readonly failures: string[];
}

/**
 * Compares codecs with protobuf-es on random messages, and on bytes that were changed at random.
 * Where they disagree about changed bytes, protoc decides: it must refuse what we refuse, and see
 * the same in the bytes that came and in those that we write, {@link held what no object can hold}
 * aside.
 */
export function fuzz(
  codecs: readonly TestCodec[],
  judge: Judge,
  { inputs, seed, stopAfter = 10 }: { inputs: number; seed: number; stopAfter?: number },
): FuzzReport {
  const random = new Random(seed);
  const report: FuzzReport = {
    inputs: 0,
    valid: 0,
    refused: 0,
    equal: 0,
    explained: new Map(),
    failures: [],
  };
  while (report.inputs < inputs && report.failures.length < stopAfter) {
    const codec = random.pick(codecs);
    report.inputs++;
    const message = randomMessage(codec.schema, random);
    const bytes = toBinary(codec.schema, message);
    if (random.below(3) > 0) checkValid(codec, message, bytes, report);
    else checkChanged(codec, mutated(bytes, random), judge, report);
  }
  return report;
}

function checkValid(
  codec: TestCodec,
  message: Message,
  bytes: Uint8Array,
  report: FuzzReport,
): void {
  const fail = (what: string) =>
    report.failures.push(`${codec.typeName}: ${what}: ${toHex(bytes)}`);
  try {
    const read = codec.decode(bytes);
    if (!sameMessage(read, fromBinary(codec.schema, bytes))) return void fail("read differently");
    const written = toHex(bytes);
    if (toHex(codec.encode(read)) !== written) return void fail("written differently");
    if (toHex(codec.encode(message)) !== written)
      return void fail("another message written differently");
    const target = new Uint8Array(bytes.length);
    if (codec.encodeInto(read, target, 0) !== bytes.length || toHex(target) !== written) {
      return void fail("written differently into a buffer");
    }
    report.valid++;
  } catch (error) {
    fail(String(error));
  }
}

function checkChanged(codec: TestCodec, bytes: Uint8Array, judge: Judge, report: FuzzReport): void {
  const verdict = compare(codec, bytes, judge);
  if (verdict === "refused" || verdict === "equal") report[verdict]++;
  else if (verdict.ok) {
    report.explained.set(verdict.what, (report.explained.get(verdict.what) ?? 0) + 1);
  } else report.failures.push(`${codec.typeName}: ${verdict.what}: ${toHex(bytes)}`);
}

/** Both refuse bytes or read them alike; or they differ, and that is explained or not. */
export type Verdict = "refused" | "equal" | { readonly ok: boolean; readonly what: string };

/** Reads bytes of any kind with a codec and with protobuf-es, and explains where they differ. */
export function compare(codec: TestCodec, bytes: Uint8Array, judge: Judge): Verdict {
  const ours = attempt(() => codec.decode(bytes) as Message);
  const theirs = attempt(() => fromBinary(codec.schema, bytes));
  if (ours === undefined && theirs === undefined) return "refused";
  if (ours !== undefined && theirs !== undefined && sameMessage(ours, theirs)) return "equal";
  return explain(codec, bytes, ours, theirs, judge);
}

function explain(
  codec: TestCodec,
  bytes: Uint8Array,
  ours: Message | undefined,
  theirs: Message | undefined,
  judge: Judge,
): { ok: boolean; what: string } {
  const original = judge.text(codec.typeName, bytes);
  if (ours === undefined) {
    return original === undefined
      ? { ok: true, what: "refused by us and protoc, read by protobuf-es" }
      : { ok: false, what: "refused, and protoc reads it" };
  }
  if (original === undefined) return { ok: false, what: "read, and protoc refuses it" };
  const written = attempt(() => codec.encode(ours) as Uint8Array);
  if (written === undefined) {
    // Required fields are checked by writers and not by readers.
    return attempt(() => toBinary(codec.schema, ours)) === undefined
      ? { ok: true, what: "read, and not written because a required field is missing" }
      : { ok: false, what: "read, and then not written" };
  }
  if (toHex(written) !== toHex(toBinary(codec.schema, ours))) {
    return { ok: false, what: "written otherwise than protobuf-es writes the same object" };
  }
  const seen = judge.text(codec.typeName, written);
  if (seen !== original) {
    // Part of what came may have no place in an object of protobuf-es. That part alone may be
    // missing.
    const { bytes: kept, lost } = held(codec.schema, bytes);
    return lost.size > 0 && seen === judge.text(codec.typeName, kept)
      ? { ok: true, what: `read as protoc does, but for this: ${[...lost].join("; ")}` }
      : { ok: false, what: "protoc sees another message in what we write" };
  }
  return theirs === undefined
    ? { ok: true, what: "read by us and protoc, refused by protobuf-es" }
    : { ok: true, what: "read as protoc does, otherwise by protobuf-es" };
}

function attempt<T>(action: () => T): T | undefined {
  try {
    return action();
  } catch {
    return undefined;
  }
}
