import type { Document, YAMLError } from "yaml";

/** Why a text is not read as YAML, and where in it. */
export interface YamlProblem {
  readonly offset: number;
  readonly reason: string;
}

/** What a text says, or why it says nothing. */
export type YamlResult = { readonly value: unknown } | { readonly problem: YamlProblem };

/** Repetitions of anchors that a file may ask for; a few hundred bytes could mean gigabytes otherwise. */
const maxAliases = 100;
/** The parser needs seconds for a megabyte of the smallest values. */
const maxTokens = 100_000;
/** The parser is recursive, and a stack that is nearly full can end the process. Far above any table's depth. */
const maxLevels = 100;

/** Reads YAML 1.2 with merge keys, without tags of one's own, within bounds that keep the parser quick. */
export async function parseYaml(content: string): Promise<YamlResult> {
  const yaml = await import("yaml");
  const excess = findExcess(yaml, content);
  if (excess !== undefined) return { problem: excess };
  const document = yaml.parseDocument(content, {
    version: "1.2",
    merge: true,
    prettyErrors: false,
    // Its own check compares each name with each other.
    uniqueKeys: false,
  });
  const error: YAMLError | undefined = document.errors[0] ?? document.warnings[0];
  if (error !== undefined) return { problem: { offset: error.pos[0], reason: error.message } };
  const fault = findFault(yaml, document);
  if (fault !== undefined) return { problem: fault };
  try {
    return { value: document.toJS({ maxAliasCount: maxAliases }) };
  } catch (thrown) {
    return { problem: { offset: 0, reason: (thrown as Error).message } };
  }
}

/** Where a text is larger or deeper than the parser should be given. */
function findExcess(yaml: typeof import("yaml"), content: string): YamlProblem | undefined {
  const indents: number[] = [];
  let tokens = 0;
  let offset = 0;
  let flow = 0;
  let indicators = 0;
  let lineStart: number | undefined = 0;
  for (const token of new yaml.Lexer().lex(content)) {
    const type = yaml.CST.tokenType(token);
    if (++tokens > maxTokens) {
      return { offset, reason: `more than ${maxTokens} tokens; split the file, or write JSON` };
    }
    if (type === "newline") {
      lineStart = offset + token.length;
      indicators = 0;
    } else if (lineStart !== undefined && type !== "space" && type !== "comment" && flow === 0) {
      const indent = offset - lineStart;
      while ((indents.at(-1) ?? -1) >= indent) indents.pop();
      indents.push(indent);
      lineStart = undefined;
    }
    if (type === "flow-seq-start" || type === "flow-map-start") flow++;
    else if (type === "flow-seq-end" || type === "flow-map-end") flow = Math.max(0, flow - 1);
    else if (flow === 0 && type?.endsWith("-ind")) indicators++;
    if (indents.length + indicators + flow > maxLevels)
      return { offset, reason: "nested too deeply" };
    // Marks of the lexer that are not in the text.
    if (token !== "\u0002" && token !== "\u0018" && token !== "\u001f") offset += token.length;
  }
  return undefined;
}

/** Names that stand twice in a table, and aliases of nothing. */
function findFault(yaml: typeof import("yaml"), document: Document): YamlProblem | undefined {
  let problem: YamlProblem | undefined;
  const anchors = new Set<string>();
  yaml.visit(document, {
    Node(_key, node) {
      if ("anchor" in node && node.anchor !== undefined) anchors.add(node.anchor);
      if (!yaml.isAlias(node) || anchors.has(node.source)) return undefined;
      problem = {
        offset: node.range?.[0] ?? 0,
        reason: `no anchor &${node.source} stands before this alias`,
      };
      return yaml.visit.BREAK;
    },
    Map(_key, map) {
      if (map.anchor !== undefined) anchors.add(map.anchor);
      const names = new Set<unknown>();
      for (const { key } of map.items) {
        const name = yaml.isScalar(key) ? key.value : key;
        if (names.has(name) && name !== "<<") {
          const offset = yaml.isNode(key) ? (key.range?.[0] ?? 0) : 0;
          problem = { offset, reason: `${JSON.stringify(name)} stands twice in this table` };
          return yaml.visit.BREAK;
        }
        names.add(name);
      }
      return undefined;
    },
  });
  return problem;
}
