import { fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import type { TestCodec } from "./generated.ts";
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
  /** Disagreements in which protoc sided with us. */
  readonly judged: Map<string, number>;
  /** Differences that nobody explained. */
  readonly failures: string[];
}

/**
 * Compares codecs with protobuf-es on random messages, and on bytes that were changed at random. Where they disagree
 * about changed bytes, protoc decides: it must refuse what we refuse, and see the same in the bytes that came
 * and in those that we write.
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
    judged: new Map(),
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
  const ours = attempt(() => codec.decode(bytes) as Message);
  const theirs = attempt(() => fromBinary(codec.schema, bytes));
  if (ours === undefined && theirs === undefined) {
    report.refused++;
    return;
  }
  if (ours !== undefined && theirs !== undefined && sameMessage(ours, theirs)) {
    report.equal++;
    return;
  }
  const explanation = explain(codec, bytes, ours, theirs, judge);
  if (explanation.ok) {
    report.judged.set(explanation.what, (report.judged.get(explanation.what) ?? 0) + 1);
  } else report.failures.push(`${codec.typeName}: ${explanation.what}: ${toHex(bytes)}`);
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
  if (judge.text(codec.typeName, written) !== original) {
    return { ok: false, what: "protoc sees another message in what we write" };
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
