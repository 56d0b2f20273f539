/**
 * Draws the calls per second of small unary calls as an image:
 * `npm run -s bench -- --json > rows.json`, then
 * `node --import tsx test/bench/chart.ts < rows.json > docs/performance.svg`.
 */
import { text } from "node:stream/consumers";
import type { Row } from "./table.ts";

const rows = (await text(process.stdin))
  .split("\n")
  .filter((line) => line.startsWith("{"))
  .map((line) => JSON.parse(line) as Row)
  .filter((row) => row.suite === "unary" && row.bytes === 64 && row.inFlight === 128)
  .sort((a, b) => b.perSecond - a.perSecond);
const label = 150;
const width = 720;
const line = 26;
const most = Math.log10(Math.max(...rows.map((row) => row.perSecond)));
const least = Math.log10(Math.min(...rows.map((row) => row.perSecond))) - 0.3;
const bars = rows.map((row, index) => {
  const length = ((Math.log10(row.perSecond) - least) / (most - least)) * (width - label - 190);
  const y = 44 + index * line;
  const ratio = row.ratioToGrpcJs === null ? "" : ` (${row.ratioToGrpcJs.toFixed(1)} × grpc-js)`;
  const fill = row.contender.startsWith("micro-es") ? "#2563eb" : "#94a3b8";
  return [
    `<text x="${label - 8}" y="${y + 14}" text-anchor="end">${row.contender}</text>`,
    `<rect x="${label}" y="${y}" width="${length.toFixed(1)}" height="18" rx="2" fill="${fill}"/>`,
    `<text x="${(label + length + 8).toFixed(1)}" y="${y + 14}">${row.perSecond.toLocaleString("en")}${ratio}</text>`,
  ].join("\n");
});
console.log(
  [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${60 + rows.length * line}" font-family="sans-serif" font-size="13" fill="#334155">`,
    `<title>Unary calls a second, 64 bytes, 128 in flight</title>`,
    `<rect width="100%" height="100%" fill="#ffffff"/>`,
    `<text x="12" y="24" font-size="15">Unary calls a second, 64 bytes, 128 in flight (logarithmic)</text>`,
    ...bars,
    "</svg>",
  ].join("\n"),
);
