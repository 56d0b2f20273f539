import type { Document, Node, YAMLError, YAMLMap } from "yaml";

/** Why a text is not accepted as YAML, and the position. */
export interface YamlProblem {
  readonly offset: number;
  readonly reason: string;
}

/** The parsed value of a text, or the reason why it is not accepted. */
export type YamlResult = { readonly value: unknown } | { readonly problem: YamlProblem };

/**
 * How often a file may repeat anchors; without a limit a few hundred bytes could expand to
 * gigabytes.
 */
const maxAliases = 100;
/** The parser needs seconds for a megabyte of the smallest values. */
const maxTokens = 100_000;
/**
 * Values including everything that aliases repeat: every reader of the configuration iterates over
 * them.
 */
const maxValues = 100_000;
/** Entries copied by merge keys; the library takes some microseconds for each. */
const maxMergedEntries = 10_000;
/** Anchors and aliases together; for each alias, the library scans all of them before it. */
const maxReferences = 2_000;
/**
 * The parser is recursive, and a nearly full stack can end the process. Far above the depth of any
 * table.
 */
const maxLevels = 100;

/**
 * Parses YAML 1.2 with merge keys and without custom tags, within limits that keep the parser fast.
 */
export async function parseYaml(content: string): Promise<YamlResult> {
  const yaml = await import("yaml");
  const excess = findExcess(yaml, content);
  if (excess !== undefined) return { problem: excess };
  const document = yaml.parseDocument(content, {
    version: "1.2",
    merge: true,
    prettyErrors: false,
    // The library's own check compares every name with every other.
    uniqueKeys: false,
  });
  const error: YAMLError | undefined = document.errors[0] ?? document.warnings[0];
  if (error !== undefined) return { problem: { offset: error.pos[0], reason: reasonOf(error) } };
  const fault = findFault(yaml, document) ?? new Expansion(yaml).findExcess(document);
  if (fault !== undefined) return { problem: fault };
  try {
    return { value: document.toJS({ maxAliasCount: maxAliases }) };
  } catch (thrown) {
    return { problem: { offset: 0, reason: (thrown as Error).message } };
  }
}

function reasonOf({ code, message }: YAMLError): string {
  return code === "MULTIPLE_DOCS"
    ? "a file has one document, and a second one begins here"
    : message;
}

/**
 * Tags of the values that configuration supports; values with other tags become JavaScript objects.
 */
const knownTag = /^tag:yaml\.org,2002:(?:str|int|float|bool|null|map|seq)$/;

/** The position at which a text exceeds the size or depth that the parser should handle. */
function findExcess(yaml: typeof import("yaml"), content: string): YamlProblem | undefined {
  const indents: number[] = [];
  let tokens = 0;
  let references = 0;
  let offset = 0;
  let flow = 0;
  let indicators = 0;
  let lineStart: number | undefined = 0;
  for (const token of new yaml.Lexer().lex(content)) {
    const type = yaml.CST.tokenType(token);
    if (++tokens > maxTokens) {
      return { offset, reason: `more than ${maxTokens} tokens; split the file, or write JSON` };
    }
    if ((type === "anchor" || type === "alias") && ++references > maxReferences) {
      return {
        offset,
        reason: `more than ${maxReferences} anchors and aliases; write JSON, or split the file`,
      };
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

/**
 * Expands aliases and merge keys of a document; afterwards merge keys have their tables in place of
 * aliases.
 */
class Expansion {
  readonly #yaml: typeof import("yaml");
  readonly #anchored = new Map<string, Node>();
  /**
   * Values of a node, including everything that its aliases repeat; 0 while counting is in
   * progress.
   */
  readonly #values = new Map<Node, number>();
  /** Entries of a table, including the merged ones. */
  readonly #entries = new Map<Node, number>();
  #merged = 0;
  #problem: YamlProblem | undefined;

  constructor(yaml: typeof import("yaml")) {
    this.#yaml = yaml;
  }

  /** The position at which the values or the merged entries exceed their limit. */
  findExcess(document: Document): YamlProblem | undefined {
    this.#count(document.contents);
    return this.#problem;
  }

  /** Aliases repeat earlier parts of the text, so one pass in text order suffices. */
  #count(node: unknown): number {
    const { isAlias, isMap, isNode, isSeq } = this.#yaml;
    if (this.#problem !== undefined || !isNode(node)) return 0;
    if (isAlias(node)) {
      const values = this.#values.get(this.#anchored.get(node.source) ?? node);
      if (values === 0) this.#report(node, "this alias is inside the value that it repeats");
      return values ?? 0;
    }
    if (node.anchor !== undefined) this.#anchored.set(node.anchor, node);
    this.#values.set(node, 0);
    let values = 1;
    if (isSeq(node)) for (const item of node.items) values += this.#count(item);
    else if (isMap(node)) values += this.#countEntries(node);
    this.#values.set(node, values);
    if (values > maxValues)
      this.#report(
        node,
        `more than ${maxValues} values with those that aliases repeat; write JSON, or split the file`,
      );
    return values;
  }

  #countEntries(map: YAMLMap): number {
    const { isScalar } = this.#yaml;
    let values = 0;
    let entries = map.items.length;
    for (const pair of map.items) {
      const { key, value } = pair;
      values += this.#count(key) + this.#count(value);
      // The library has a symbol for a merge key; a quoted "<<" is a name.
      if (!isScalar(key) || typeof key.value !== "symbol") continue;
      pair.value = this.#resolved(value);
      const merged = this.#entriesOf(pair.value);
      entries += merged;
      this.#merged += merged;
      if (this.#merged > maxMergedEntries)
        this.#report(
          key,
          `merge keys copy more than ${maxMergedEntries} entries; write JSON, or split the file`,
        );
    }
    this.#entries.set(map, entries);
    return values;
  }

  /** The merged tables without aliases: the library searches the whole document for each alias. */
  #resolved(source: unknown): unknown {
    const { isAlias, isSeq } = this.#yaml;
    const node = isAlias(source) ? this.#anchored.get(source.source) : source;
    if (isSeq(node)) node.items = node.items.map((item) => this.#resolved(item));
    return node;
  }

  #entriesOf(source: unknown): number {
    const { isNode, isSeq } = this.#yaml;
    if (isSeq(source))
      return source.items.reduce<number>((sum, it) => sum + this.#entriesOf(it), 0);
    return isNode(source) ? (this.#entries.get(source) ?? 0) : 0;
  }

  #report({ range }: Node, reason: string): void {
    this.#problem ??= { offset: range?.[0] ?? 0, reason };
  }
}

/**
 * Finds names that are not text or occur twice in a table, values that configuration does not
 * support, and aliases without an anchor.
 */
function findFault(yaml: typeof import("yaml"), document: Document): YamlProblem | undefined {
  let problem: YamlProblem | undefined;
  const anchors = new Set<string>();
  yaml.visit(document, {
    Node(_key, node) {
      if ("anchor" in node && node.anchor !== undefined) anchors.add(node.anchor);
      problem = unknownTag(node);
      if (problem !== undefined) return yaml.visit.BREAK;
      if (!yaml.isAlias(node) || anchors.has(node.source)) return undefined;
      problem = {
        offset: node.range?.[0] ?? 0,
        reason: `no anchor &${node.source} stands before this alias`,
      };
      return yaml.visit.BREAK;
    },
    Map(_key, map) {
      if (map.anchor !== undefined) anchors.add(map.anchor);
      problem = unknownTag(map);
      if (problem !== undefined) return yaml.visit.BREAK;
      const names = new Set<unknown>();
      for (const { key } of map.items) {
        if (yaml.isCollection(key)) {
          problem = {
            offset: key.range?.[0] ?? 0,
            reason: "a name must be text, not a list or a table",
          };
          return yaml.visit.BREAK;
        }
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

function unknownTag({ tag, range }: Node): YamlProblem | undefined {
  return tag === undefined || knownTag.test(tag)
    ? undefined
    : {
        offset: range?.[0] ?? 0,
        reason: `values of the type ${tag} are not read; write text, a number, a list or a table`,
      };
}
