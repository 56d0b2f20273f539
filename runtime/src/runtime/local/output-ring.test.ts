import fc from "fast-check";
import { expect, test } from "vitest";
import type { RunLog } from "../runtime.ts";
import { LineCutter } from "./line-cutter.ts";
import { OutputRing } from "./output-ring.ts";

const capacity = 256;

/** The log read from a ring that received these pieces. */
async function logsOf(pieces: readonly Buffer[]): Promise<RunLog[]> {
  const ring = new OutputRing(capacity);
  const cutter = new LineCutter(ring.maxLineBytes, (bytes, from, to, cut) =>
    ring.append("stdout", bytes, from, to, cut),
  );
  for (const piece of pieces) cutter.push(Buffer.from(piece));
  cutter.end();
  const logs = [];
  for await (const log of ring.read()) logs.push(log);
  return logs;
}

/** The expected log, computed in the simplest way. */
function expected(text: string): { text: string; cut: boolean }[] {
  const most = capacity / 4;
  const lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  const whole = lines.map((line) => {
    const bytes = Buffer.byteLength(line);
    if (bytes <= most) return { text: line, cut: false };
    let kept = "";
    for (const character of line) {
      if (Buffer.byteLength(kept + character) > most) break;
      kept += character;
    }
    return { text: kept, cut: true };
  });
  let bytes = 0;
  const newest = whole.reverse().filter((line) => {
    bytes += 13 + Buffer.byteLength(line.text);
    return bytes <= capacity;
  });
  return newest.reverse();
}

test("a ring has the newest lines that fit, however the output was split", async () => {
  const line = fc.string({ unit: "grapheme-composite", maxLength: 100 });
  const text = fc.array(line.map((it) => it.replaceAll(/[\r\n]/g, ""))).map((it) => it.join("\n"));
  await fc.assert(
    fc.asyncProperty(text, fc.array(fc.nat(500)), async (written, cuts) => {
      const bytes = Buffer.from(written);
      const places = [
        0,
        ...cuts.filter((at) => at <= bytes.length).sort((a, b) => a - b),
        bytes.length,
      ];
      const pieces = places.slice(1).map((to, index) => bytes.subarray(places[index], to));
      const logs = await logsOf(pieces);
      expect(logs.map((log) => log.type === "line" && { text: log.text, cut: log.cut })).toEqual(
        expected(written),
      );
    }),
    { numRuns: 300 },
  );
});

test("a reader that is overtaken learns the number of lines it lost", async () => {
  const ring = new OutputRing(capacity);
  const append = (text: string) => {
    const bytes = Buffer.from(text);
    ring.append("stderr", bytes, 0, bytes.length, false);
  };
  append("0");
  const reader = ring.read({ follow: true });
  expect((await reader.next()).value).toMatchObject({ type: "line", stream: "stderr", text: "0" });
  for (let line = 1; line <= 1_000; line++) append(String(line));
  ring.close();
  const lost = (await reader.next()).value as RunLog;
  const rest = [];
  for await (const log of reader) rest.push(log);
  expect(rest.at(-1)).toMatchObject({ text: "1000" });
  expect(lost).toEqual({ type: "lost", lines: 1_000 - rest.length });
});
