/** A thing that the README tells its reader to do: write a file, or type a command. */
export type ReadmePart =
  | { readonly kind: "file"; readonly path: string; readonly text: string }
  | { readonly kind: "command"; readonly command: string; readonly stays: boolean };

export interface ReadmeStep {
  readonly number: number;
  readonly parts: readonly ReadmePart[];
}

/**
 * Reads the numbered steps out of the README. A step begins with a heading `### 1. …`. A code block that follows a line
 * with nothing but a path in backticks is a file; a block marked `sh` is commands, one a line, where a line that ends in
 * `# stays` goes on running in a terminal of its own.
 */
export function readmeSteps(readme: string): readonly ReadmeStep[] {
  return readme
    .split(/^### (?=\d+\. )/m)
    .slice(1)
    .map((section) => {
      const end = section.search(/^##? /m);
      return {
        number: Number.parseInt(section, 10),
        parts: partsOf(end < 0 ? section : section.slice(0, end)),
      };
    });
}

function partsOf(section: string): readonly ReadmePart[] {
  const parts: ReadmePart[] = [];
  for (const [, path, language, text] of section.matchAll(
    /(?:^`([^`]+)`\n\n?)?^```(\w*)\n(.*?)^```$/gms,
  )) {
    if (path !== undefined) {
      parts.push({ kind: "file", path, text: text ?? "" });
    } else if (language === "sh") {
      for (const line of (text ?? "").trim().split("\n")) {
        const stays = line.endsWith("# stays");
        parts.push({ kind: "command", command: line.replace(/\s*# stays$/, ""), stays });
      }
    }
  }
  return parts;
}

/** The blocks of shell commands below a heading, in their order. */
export function readmeCommands(readme: string, heading: string): readonly string[] {
  const [, section = ""] = readme.split(`\n## ${heading}\n`);
  const [own = ""] = section.split(/^## /m);
  return [...own.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, text = ""]) => text.trim());
}
