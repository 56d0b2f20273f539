import { type Figure, printFigures } from "./figure.ts";

/**
 * `npm run faults -- nats [--long] [B1 D5 …]`: breaks a backend in the ways of reliability goals while it is used,
 * judges the ledgers, and prints what was found. Status 1 when a bound does not hold.
 */
const words = process.argv.slice(2);
const length = words.includes("--long") ? "long" : "short";
const [backend = "", ...only] = words.filter((word) => !word.startsWith("--"));
const backends = { nats: () => import("./nats/scenarios.ts") } as const;
if (!Object.hasOwn(backends, backend)) {
  console.error(
    `npm run faults -- <backend> [--long] [ids]; there are: ${Object.keys(backends).join(", ")}`,
  );
  process.exit(2);
}
const { scenarios } = await backends[backend as keyof typeof backends]();
const figures: Figure[] = [];
for (const [id, run] of Object.entries(scenarios)) {
  if (only.length > 0 && !only.includes(id)) continue;
  const began = performance.now();
  figures.push(await run(length));
  console.error(`${id}: ${((performance.now() - began) / 1000).toFixed(1)} s`);
}
printFigures(figures);
process.exit(figures.every(({ holds }) => holds) ? 0 : 1);
