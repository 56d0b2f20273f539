import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, join, normalize } from "node:path";

/** The anchors that GitHub gives to the headings of a page. */
export function anchorsOf(markdown: string): ReadonlySet<string> {
  const anchors = new Set<string>();
  for (const [, heading = ""] of withoutCode(markdown).matchAll(/^#{1,6} +(.+?) *$/gm)) {
    const text = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1").toLowerCase();
    const anchor = text.replace(/[^\p{L}\p{N}\p{M} _-]/gu, "").replaceAll(" ", "-");
    let unique = anchor;
    for (let count = 1; anchors.has(unique); count++) unique = `${anchor}-${count}`;
    anchors.add(unique);
  }
  return anchors;
}

/** The links of a page that lead nowhere in the repository, each with what is wrong. */
export function brokenLinks(repository: string, page: string, markdown: string): readonly string[] {
  const broken: string[] = [];
  for (const [, target = ""] of withoutCode(markdown).matchAll(/\]\(([^)\s]+)\)/g)) {
    if (/^[a-z]+:/.test(target)) continue;
    const [path = "", anchor] = target.split("#");
    const file = path === "" ? page : normalize(join(dirname(page), path));
    if (!existsSync(join(repository, file))) {
      broken.push(`${page}: ${target} does not exist`);
    } else if (anchor !== undefined && statSync(join(repository, file)).isFile()) {
      const text = file === page ? markdown : readFileSync(join(repository, file), "utf8");
      if (!anchorsOf(text).has(anchor)) broken.push(`${page}: ${target} has no such heading`);
    }
  }
  return broken;
}

/** The text without fenced blocks and inline code, whose brackets are not links. */
function withoutCode(markdown: string): string {
  return markdown
    .replace(/^ {0,3}```[\s\S]*?^ {0,3}```$/gm, "")
    .replace(/`[^`\n]*`/g, (code) => (code.includes("](") ? "" : code));
}
