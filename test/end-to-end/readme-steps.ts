/** A thing that the README tells its reader to do, or that it says will be shown. */
export type ReadmePart =
  | { readonly kind: "file"; readonly path: string; readonly text: string }
  | {
      readonly kind: "edit";
      readonly path: string;
      readonly before: string;
      readonly after: string;
    }
  | {
      readonly kind: "command";
      readonly command: string;
      readonly stays: boolean;
      readonly fails: boolean;
    }
  | { readonly kind: "shown"; readonly text: string };

export interface ReadmeStep {
  readonly number: number;
  readonly parts: readonly ReadmePart[];
}

/** Reads the numbered steps out of the README. A step begins with a heading `### 1. …`. */
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

/** What the README tells its reader below a heading, in its order. */
export function readmeParts(readme: string, heading: string): readonly ReadmePart[] {
  const [, section = ""] = readme.split(`\n## ${heading}\n`);
  const [own = ""] = section.split(/^## /m);
  return partsOf(own);
}

/**
 * A code block that follows a line with nothing but a path in backticks is a file, or where it is marked `diff` an edit of
 * one. A block marked `sh` is commands, one a line: one that ends in `# stays` goes on running in a terminal of its own,
 * one that ends in `# fails` does not succeed. A block without a mark is what is shown.
 */
function partsOf(section: string): readonly ReadmePart[] {
  const parts: ReadmePart[] = [];
  for (const [, path, language, text = ""] of section.matchAll(
    /(?:^`([^`]+)`\n\n?)?^```(\w*)\n(.*?)^```$/gms,
  )) {
    if (path !== undefined) {
      parts.push(language === "diff" ? editOf(path, text) : { kind: "file", path, text });
    } else if (language === "sh") {
      for (const line of text.trim().split("\n")) {
        const [, command = "", mark] = /^(.*?)(?:\s*# (stays|fails))?$/.exec(line) ?? [];
        parts.push({ kind: "command", command, stays: mark === "stays", fails: mark === "fails" });
      }
    } else if (language === "") {
      parts.push({ kind: "shown", text });
    }
  }
  return parts;
}

/** An edit by lines that begin with a blank, `-` or `+`. */
function editOf(path: string, diff: string): ReadmePart {
  const lines = diff.trimEnd().split("\n");
  const without = (mark: string) =>
    lines
      .filter((line) => !line.startsWith(mark))
      .map((line) => `${line.slice(1)}\n`)
      .join("");
  return { kind: "edit", path, before: without("+"), after: without("-") };
}
