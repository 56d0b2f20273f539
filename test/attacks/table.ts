import { readFile, writeFile } from "node:fs/promises";
import { protocols } from "./attack.ts";
import type { Cost } from "./measure.ts";

/** The costs as a Markdown table, by protocol and the most expensive first. */
export function table(costs: readonly Cost[]): string {
  const rows = [...costs]
    .sort(
      (a, b) =>
        protocols.indexOf(a.attack.protocol) - protocols.indexOf(b.attack.protocol) ||
        b.cpuMsPerMB - a.cpuMsPerMB,
    )
    .map((cost) => {
      const { attack, faults } = cost;
      return [
        attack.protocol,
        `\`${attack.name}\`: ${attack.description}`,
        bytes(cost.sentBytes),
        cost.cpuMs.toFixed(0),
        figure(cost.cpuMsPerMB),
        bytes(cost.heldBytes),
        figure(cost.heldPerByte),
        cost.stallMs.toFixed(0),
        faults.length === 0 ? "within bounds" : "**exceeded**",
      ];
    });
  const head = [
    "Protocol",
    "Attack",
    "Sent",
    "CPU ms",
    "CPU ms per MB",
    "Held",
    "Held per byte sent",
    "Longest stall, ms",
    "Verdict",
  ];
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

/**
 * Replaces what stands between the markers of this name on a page. @throws Error when the page has
 * no such markers.
 */
export async function writeTable(file: URL, text: string, name = "attacks"): Promise<void> {
  const markers = [`<!-- ${name}: begin -->`, `<!-- ${name}: end -->`] as const;
  const page = await readFile(file, "utf8");
  const [from, to] = [page.indexOf(markers[0]), page.indexOf(markers[1])];
  if (from < 0 || to < from) throw new Error(`${file.pathname} has no ${markers.join(" … ")}`);
  const before = page.slice(0, from + markers[0].length);
  await writeFile(file, `${before}\n\n${text}\n\n${page.slice(to)}`);
}

function bytes(count: number): string {
  if (count < 10_000) return `${count.toFixed(0)} B`;
  return count < 1e6 ? `${(count / 1e3).toFixed(0)} kB` : `${(count / 1e6).toFixed(1)} MB`;
}

/** Two digits; less than that is noise. */
function figure(value: number): string {
  if (!Number.isFinite(value)) return "–";
  return value < 10 ? value.toFixed(1) : String(Number(value.toPrecision(2)));
}
