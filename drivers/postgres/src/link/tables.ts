import { createHash } from "node:crypto";
import { MicroError } from "@micro-es/runtime";
import { postgresFailure, stateOf } from "./failure.ts";
import type { Query } from "./session.ts";

/** What the tables of a part need of a connection. */
export interface TablesLink {
  readonly schema: string;
  query(text: string, values: readonly string[], what: string): ReturnType<Query>;
  transaction<T>(what: string, work: (query: Query) => Promise<T>): Promise<T>;
}

/** The tables, sequences and functions of a part. */
export interface PartTables {
  /** The name of the part, such as `store`. */
  readonly part: string;
  /** Raised when the statements change. */
  readonly version: number;
  /** The statements that create them in a schema, which is quoted already. */
  readonly create: (schema: string) => string;
}

/** The SQLSTATEs of a table, a schema or a function that does not exist. */
const missing = new Set(["42P01", "3F000", "42883"]);

/** Makes sure that the tables of a part exist, once, and again after someone has dropped them. */
export class Tables {
  readonly #link: TablesLink;
  readonly #tables: PartTables;
  #ready: Promise<void> | undefined;

  constructor(link: TablesLink, tables: PartTables) {
    this.#link = link;
    this.#tables = tables;
  }

  /**
   * Resolves when they exist.
   * @throws MicroError as {@link TablesLink.query}; `permission_denied` if the user may not create
   * them.
   */
  ready(): Promise<void> {
    this.#ready ??= this.#prepare().catch((error) => {
      this.#ready = undefined;
      throw error;
    });
    return this.#ready;
  }

  /** Runs what uses them; creates them first where they do not exist. */
  async use<T>(work: () => Promise<T>): Promise<T> {
    await this.ready();
    try {
      return await work();
    } catch (error) {
      if (!missing.has(stateOf(error) ?? "")) throw error;
      this.#ready = undefined;
      await this.ready();
      return await work();
    }
  }

  async #prepare(): Promise<void> {
    const { part } = this.#tables;
    const what = `prepare the tables of the ${part}`;
    const schema = quoted(this.#link.schema);
    const text = `select version from ${schema}.parts where name = $1`;
    const found = await this.#link.query(text, [part], what).catch((error) => {
      if (missing.has(stateOf(error) ?? "")) return [];
      throw error;
    });
    if (this.#isCurrent(found[0]?.version)) return;
    try {
      await this.#link.transaction(what, (query) => this.#create(query, schema));
    } catch (error) {
      if (stateOf(error) !== "42501") throw error;
      throw new MicroError(
        "permission_denied",
        `cannot ${what}: the user may not create them in the schema ${this.#link.schema}; let a user who may run the statements of postgresTables({ schema: "${this.#link.schema}" })`,
        { outcome: "not-executed", cause: postgresFailure(error, what) },
      );
    }
  }

  async #create(query: Query, schema: string): Promise<void> {
    const { part } = this.#tables;
    await query(lockStatement(this.#link.schema));
    // Creating one that exists needs the right to create another.
    const [there] = await query(
      "select to_regnamespace($1) is not null as schema, to_regclass($2) is not null as parts",
      [schema, `${schema}.parts`],
    );
    if (there?.schema !== "t") await query(`create schema ${schema}`);
    if (there?.parts !== "t") await query(createParts(schema));
    const [found] = await query(`select version from ${schema}.parts where name = $1`, [part]);
    if (this.#isCurrent(found?.version)) return;
    for (const text of statementsOf(this.#tables, schema)) await query(text);
  }

  #isCurrent(found: unknown): boolean {
    if (typeof found !== "string") return false;
    const { part, version } = this.#tables;
    if (Number(found) > version) {
      throw new MicroError(
        "failed_precondition",
        `cannot use the tables of the ${part} in the schema ${this.#link.schema}: version ${found} of them is newer than this driver's ${version}; update @micro-es/postgres`,
        { outcome: "not-executed" },
      );
    }
    return Number(found) === version;
  }
}

/**
 * The statements that create the tables of parts, for whoever creates them by migrations of their
 * own. They may run again.
 */
export function tablesText(schema: string, parts: readonly PartTables[]): string {
  const name = quoted(schema);
  const all = [
    "begin",
    lockStatement(schema),
    `create schema if not exists ${name}`,
    createParts(name),
    ...parts.flatMap((tables) => statementsOf(tables, name)),
    "commit",
  ];
  return all.map((text) => `${text};\n`).join("\n");
}

/** A name as SQL quotes it. */
export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** The name of a schema that is quoted; its characters need no quotes. */
export function nameIn(schema: string): string {
  return schema.slice(1, -1);
}

/** The channel on which the processes of a part wake each other. */
export function channelOf(schema: string, part: string): string {
  const hash = createHash("sha256").update(`${schema}.${part}`).digest("hex");
  return `micro_${hash.slice(0, 32)}`;
}

function createParts(schema: string): string {
  return `create table if not exists ${schema}.parts (name text primary key, version int not null)`;
}

function statementsOf(tables: PartTables, schema: string): readonly string[] {
  const { part, version, create } = tables;
  return [
    create(schema).trim().replace(/;$/, ""),
    `insert into ${schema}.parts as p (name, version) values ('${part}', ${version})
  on conflict (name) do update set version = excluded.version`,
  ];
}

/** Two processes that create the same tables at the same time would both fail. */
function lockStatement(schema: string): string {
  return `select pg_advisory_xact_lock(hashtextextended('micro-es ${schema}', 0))`;
}
