import type { Rule, ScopeGrant } from "@micro-es/runtime/auth";
import { aboutStore, openAuth, readScopes } from "../auth/open-auth.ts";
import { type Command, defineCommand } from "../command.ts";
import { UsageError } from "../errors.ts";

const types = ["method", "topic", "channel", "route"] as const;

export const command: Command = defineCommand({
  arguments: [
    { name: "id", help: "the id of the rule; it replaces a rule with the same id" },
    {
      name: "resource",
      optional: true,
      help: "a method, or package.*, package.Service/* or *; none to give scopes",
    },
  ],
  options: {
    deny: { type: "boolean", help: "deny access instead of granting it" },
    scope: { type: "string", value: "scope", help: "only for accounts with this scope" },
    account: { type: "string", value: "id", help: "only for this account" },
    issuer: { type: "string", value: "name", help: "only for accounts of this issuer" },
    priority: {
      type: "string",
      value: "number",
      help: "the highest that applies decides; default 0",
    },
    type: { type: "string", value: "type", help: `${types.join(", ")}; default method` },
    scopes: {
      type: "string",
      multiple: true,
      value: "scopes",
      help: "scopes to give to --account of --issuer, separated by commas",
    },
  },
  details: `A rule grants what the schema leaves open, or denies what it allows. Without --scope, --account and --issuer\nit is for everybody, also without an account. Scopes are for accounts whose credential states none, such as a\ncertificate. It is in force in all services within a second, or ten if the store cannot be watched.\n${aboutStore}`,
  examples: [
    ["micro auth grant orders 'acme.stock.v1.StockService/*' --account order", "grant a service"],
    ["micro auth grant night 'acme.*' --deny --scope batch --priority 10", "deny by a scope"],
    [
      "micro auth grant g1 --issuer acme.example --account spiffe://acme.example/order --scopes stock.write",
      "give scopes to a certificate's account",
    ],
  ],
  async run({ arguments: [id = "", resource], options, output, environment }) {
    const entry = resource === undefined ? readGrant(id, options) : readRule(id, resource, options);
    output.progress(`granting ${id}`);
    await using opened = await openAuth(environment);
    await opened.rules.grant(entry);
    output.result(entry, () => "");
    output.note(`${id} is in the rules`);
  },
});

interface GrantOptions {
  readonly deny?: boolean;
  readonly scope?: string;
  readonly account?: string;
  readonly issuer?: string;
  readonly priority?: string;
  readonly type?: string;
  readonly scopes?: readonly string[];
}

function readRule(id: string, name: string, options: GrantOptions): Rule {
  if (options.scopes !== undefined) {
    throw new UsageError("--scopes gives scopes, without a resource; --scope selects callers");
  }
  const { type = "method", priority = "0", scope, account, issuer } = options;
  const known = types.find((it) => it === type);
  if (known === undefined) {
    throw new UsageError(`--type takes one of ${types.join(", ")}, not "${type}"`);
  }
  if (!/^-?\d{1,15}$/.test(priority)) {
    throw new UsageError(`--priority takes a whole number, not "${priority}"`);
  }
  return {
    id,
    access: options.deny === true ? "denied" : "granted",
    priority: Number(priority),
    resource: { type: known, name },
    subject: {
      ...(scope !== undefined && { scope }),
      ...(account !== undefined && { account }),
      ...(issuer !== undefined && { issuer }),
    },
  };
}

function readGrant(id: string, options: GrantOptions): ScopeGrant {
  const { account, issuer, scopes, ...others } = options;
  if (account === undefined || issuer === undefined || scopes === undefined) {
    throw new UsageError(
      "name a resource for a rule, or --issuer, --account and --scopes to give scopes",
    );
  }
  for (const name of ["deny", "scope", "priority", "type"] as const) {
    if (others[name] !== undefined) throw new UsageError(`--${name} is for a rule with a resource`);
  }
  return { id, issuer, account, scopes: readScopes(scopes) ?? [] };
}
