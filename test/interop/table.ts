import type { CaseResult } from "./matrix.ts";

/** Prints cases × pairs, each first without and then with TLS. */
export function printTable(results: readonly CaseResult[]): void {
  const pairs = [...new Set(results.map(pairOf))];
  const names = [...new Set(results.map(({ name }) => name))];
  const cells = new Map(results.map((it) => [keyOf(pairOf(it), it.name, it.tls), it]));
  const width = Math.max(...names.map((name) => name.length));
  const row = (first: string, rest: readonly string[]) =>
    console.log(`| ${first.padEnd(width)} | ${rest.join(" | ")} |`);
  row("client → server, h2c and TLS", pairs);
  row(
    "-".repeat(width),
    pairs.map((pair) => "-".repeat(pair.length)),
  );
  for (const name of names) {
    const marks = pairs.map((pair) =>
      [false, true]
        .map((tls) => markOf(cells.get(keyOf(pair, name, tls))))
        .join(" ")
        .padEnd(pair.length),
    );
    row(name, marks);
  }
}

/** Prints failures with their reasons. */
export function printFailures(results: readonly CaseResult[]): void {
  for (const { client, server, tls, name, error } of results) {
    if (error === undefined) continue;
    console.log(`FAILED ${name}, ${client} → ${server}, ${tls ? "TLS" : "h2c"}: ${error}`);
  }
}

function pairOf({ client, server }: CaseResult): string {
  return `${client} → ${server}`;
}

function keyOf(pair: string, name: string, tls: boolean): string {
  return `${pair} ${name} ${tls}`;
}

function markOf(result: CaseResult | undefined): string {
  if (result === undefined) return "–";
  return result.error === undefined ? "ok" : "NO";
}
