import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

/**
 * One check on the path of a unary call that exists for a feature, and its replacement without it.
 */
interface Cut {
  readonly question: RegExp;
  readonly answer: string;
}

/** Names may end in a number, which the bundler adds if files share a name. */
const cuts: readonly Cut[] = [
  // Signals, and the context of a call whose response arrives meanwhile.
  {
    question: /let signal\d* = options\.signal \?\? [\s\S]*?return new OutboundCall\(/,
    answer: "return new OutboundCall(",
  },
  {
    question:
      /metadata\d*, signal\d*, linked, options\.filters === void 0 \? this\.#filters : this\.#join\(options\.filters\)/,
    answer: "void 0, void 0, void 0, this.#filters",
  },
  {
    question: /if \(outgoing\.signal !== void 0\)\s+watchAbort\(outgoing\.signal, call\);/,
    answer: "",
  },
  {
    question:
      /if \(this\.outgoing\.signal !== void 0\)\s+unwatchAbort\(this\.outgoing\.signal, this\);\s+this\.#connection\.remove/,
    answer: "this.#connection.remove",
  },
  // A deadline or a node that the caller chose.
  {
    question:
      /const timed = options\.timeoutMs !== void 0 \|\| options\.deadline !== void 0;\s+const beganAt = timed \? monotonicNow\(\) : turnNow\(\);/,
    answer: "const beganAt = turnNow();",
  },
  {
    question: /const target = address \?\? options\.service \?\? method\.service;/,
    answer: "const target = method.service;",
  },
  {
    question: /const \{ address \} = call\.options;\s+if \(address !== void 0\) \{[\s\S]*?\n {4}\}/,
    answer: "",
  },
  // Interceptors and observers of a call.
  {
    question:
      /if \(isObserved\(call\.options\)\)\s+return observed\(call, answer\);\s+return this\.#intercepted \? intercepted\(call, answer\) : answer;/,
    answer: "return answer;",
  },
  {
    question: /if \(!this\.#intercepted\)\s+return this\.#attempts\.unary\(call, request\);/,
    answer: "return this.#attempts.unary(call, request);",
  },
  // Metadata of requests and responses.
  {
    question:
      /nextMetadata\(\) \{\s+const previous = this\.attempts\+\+;[\s\S]*?return metadata\d*;/,
    answer: "nextMetadata() { this.attempts++; return void 0;",
  },
  {
    question:
      /const (refusal\d*) = callRefusal\d*\(method\.name, outgoing\);\s+if \(\1 !== void 0\)\s+throw \1;\s+const metadata\d* = outgoing\.metadata\?\.isEmpty[^\n]*\n/,
    answer: "",
  },
  {
    question:
      /metadata\d* === void 0 \? flags : flags \| flag\d*\.metadata, (\w+), id, remainingField\(outgoing\.deadline\)\);\s+if \(metadata\d* !== void 0\)\s+this\.writer\.block\(metadata\d*\);/,
    answer: "flags, $1, id, remainingField(outgoing.deadline));",
  },
  {
    question:
      /if \(\(flags & flag\d*\.metadata\) !== 0\)\s+at = blockEnd\(\w+, start\d*, end\);\s+const (metadata\d*) = at === start\d* \? void 0 : readMetadata\(\w+, start\d*, at\);/,
    answer: "const $1 = void 0;",
  },
  {
    question:
      /const metadata\d* = this\.headersSent [\s\S]*?flags \| \(metadata\d* === void 0[^\n]*\n[\s\S]*?writer\.block\(trailers\);/,
    answer: "writer.open(frameType.result, flags, method, this.id, aux);",
  },
  {
    question:
      /if \(\(flags & flag\d*\.metadata\) !== 0\) \{\s+at = blockEnd\((\w+), start\d*, end\);\s+call\.outgoing\.responseMetadata[\s\S]*?call\.outgoing\.trailers[^\n]*\n\s+\}/,
    answer: "",
  },
  { question: /call\.propagate = this\.#propagate;/, answer: "" },
];

/**
 * Copies an installed runtime and removes the checks of a unary call over TCP that exist only for
 * signals, metadata, interceptors, observers, and per-call deadlines or nodes. The result works
 * only for the benchmark.
 * @throws Error when a check is not found: the runtime was rewritten, and the list above was not.
 */
export function copyWithoutFeatures(runtime: string): void {
  const target = join(dirname(runtime), "runtime-without-features");
  rmSync(target, { recursive: true, force: true });
  cpSync(runtime, target, { recursive: true });
  const dist = join(target, "dist");
  const files = readdirSync(dist, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".js"))
    .map((name) => join(dist, name));
  const texts = new Map(files.map((file) => [file, readFileSync(file, "utf8")]));
  for (const { question, answer } of cuts) {
    const found = files.filter((file) => question.test(texts.get(file) ?? ""));
    if (found.length === 0) throw new Error(`the runtime asks nothing like ${question}`);
    for (const file of found) texts.set(file, (texts.get(file) ?? "").replace(question, answer));
  }
  for (const [file, text] of texts) writeFileSync(file, text);
  const manifest = join(target, "package.json");
  const { name: _, ...fields } = JSON.parse(readFileSync(manifest, "utf8"));
  writeFileSync(
    manifest,
    JSON.stringify({ name: "@micro-es/runtime-without-features", ...fields }),
  );
}
