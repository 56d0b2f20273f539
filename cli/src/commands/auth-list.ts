import type { AccountInfo, KeyInfo, Rule, ScopeGrant } from "@micro-es/runtime/auth";
import { aboutStore, openAuth } from "../auth/open-auth.ts";
import { type Command, defineCommand } from "../command.ts";
import { UsageError } from "../errors.ts";
import type { Output } from "../output.ts";
import { styled } from "../text.ts";

/** An account; its issuer is unknown as long as nothing in the store names it. */
type Listed = Omit<AccountInfo, "issuer"> & { readonly issuer: string | undefined };

const kinds = ["accounts", "rules", "keys"] as const;

export const command: Command = defineCommand({
  arguments: [
    { name: "kind", optional: true, help: `only ${kinds.join(", ")}; default all of them` },
  ],
  options: {},
  details: `Secrets and private keys are never shown.\n${aboutStore}`,
  examples: [
    ["micro auth list", "accounts, rules and keys"],
    ["micro auth list rules --json", "one rule per line"],
  ],
  async run({ arguments: [kind], output, environment }) {
    if (kind !== undefined && !(kinds as readonly string[]).includes(kind)) {
      throw new UsageError(`there is no list of ${kind}; there are: ${kinds.join(", ")}`);
    }
    output.progress("reading the store");
    await using opened = await openAuth(environment);
    const { auth, rules, issuer } = opened;
    await Promise.all([auth.open(), rules.open?.()]);
    if (kind === undefined || kind === "accounts") {
      const accounts: Listed[] = [];
      for await (const account of auth.accounts()) accounts.push({ ...account, issuer });
      show(output, "accounts", accounts, ["ACCOUNT", "TYPE", "PROVEN BY", "SCOPES"], accountRow);
    }
    if (kind === undefined || kind === "rules") {
      const entries = rules.list();
      show(output, "rules", entries, ["RULE", "PRIORITY", "ACCESS", "RESOURCE", "FOR"], ruleRow);
      if (rules.state !== "healthy") {
        output.note("a record cannot be used, so this list may not be all that the store has");
      }
    }
    if (kind === undefined || kind === "keys") {
      show(output, "keys", auth.keys(), ["KEY", "ALGORITHM", "STATE", "UNTIL"], keyRow);
    }
  },
});

function show<T extends object>(
  output: Output,
  kind: string,
  entries: readonly T[],
  headings: readonly string[],
  row: (entry: T) => readonly string[],
): void {
  if (output.json) {
    for (const entry of entries) output.result({ kind: kind.slice(0, -1), ...entry }, () => "");
  } else if (entries.length === 0) {
    output.note(styled("dim", `no ${kind}`));
  } else {
    output.line(output.table(headings, entries.map(row)));
  }
}

function accountRow({ id, type, provenBy, scopes, revokedAtMs }: Listed): readonly string[] {
  return [id, type, revokedAtMs === undefined ? provenBy : "revoked", scopes.join(" ")];
}

function ruleRow(entry: Rule | ScopeGrant): readonly string[] {
  if ("scopes" in entry) {
    const { id, issuer, account, scopes } = entry;
    return [id, "", "scopes", scopes.join(" "), `account ${account} of ${issuer}`];
  }
  const { id, priority, access, resource, subject } = entry;
  const { scope, account, issuer } = subject;
  const parts = [
    ...(scope === undefined ? [] : [`scope ${scope}`]),
    ...(account === undefined ? [] : [`account ${account}`]),
    ...(issuer === undefined ? [] : [`issuer ${issuer}`]),
  ];
  const who = parts.length === 0 ? "everybody" : parts.join(", ");
  const name = resource.type === "method" ? resource.name : `${resource.type} ${resource.name}`;
  return [id, String(priority), access, name, who];
}

function keyRow({ id, algorithm, state, untilMs }: KeyInfo): readonly string[] {
  return [id, algorithm, state, new Date(untilMs).toISOString()];
}
