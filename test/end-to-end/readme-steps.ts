/** An instruction of a page to its reader, or the output that the page promises. */
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

/** The numbered steps of a page. A step begins with a heading `### 1. …`. */
export function readmeSteps(page: string): readonly ReadmeStep[] {
  return page
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

/** The instructions below a heading of a page, in order. */
export function readmeParts(page: string, heading: string): readonly ReadmePart[] {
  const [, section = ""] = page.split(`\n## ${heading}\n`);
  const [own = ""] = section.split(/^## /m);
  return partsOf(own);
}

/**
 * A code block after a line that begins with a path in backticks is a file, or an edit of one if it
 * is marked `diff`. A block marked `sh` has one command a line: one that ends in `# keeps running`
 * runs in its own terminal, one that ends in `# fails` exits with an error. A block without a mark
 * is output.
 */
function partsOf(section: string): readonly ReadmePart[] {
  const parts: ReadmePart[] = [];
  for (const [, path, language, text = ""] of section.matchAll(
    /(?:^`([^`]+)`(?:, [^`\n]*:)?\n\n?)?^```(\w*)\n(.*?)^```$/gms,
  )) {
    if (path !== undefined) {
      parts.push(language === "diff" ? editOf(path, text) : { kind: "file", path, text });
    } else if (language === "sh") {
      for (const line of text.trim().split("\n")) {
        const [, command = "", mark] = /^(.*?)(?:\s*# (keeps running|fails))?$/.exec(line) ?? [];
        const stays = mark === "keeps running";
        parts.push({ kind: "command", command, stays, fails: mark === "fails" });
      }
    } else if (language === "") {
      parts.push({ kind: "shown", text });
    }
  }
  return parts;
}

/** An edit, from lines that begin with a space, `-` or `+`. */
function editOf(path: string, diff: string): ReadmePart {
  const lines = diff.trimEnd().split("\n");
  const without = (mark: string) =>
    lines
      .filter((line) => !line.startsWith(mark))
      .map((line) => `${line.slice(1)}\n`)
      .join("");
  return { kind: "edit", path, before: without("+"), after: without("-") };
}
