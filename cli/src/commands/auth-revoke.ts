import { aboutStore, type OpenAuth, openAuth } from "../auth/open-auth.ts";
import { tokenClaims } from "../auth/token-claims.ts";
import { type Command, defineCommand } from "../command.ts";
import { CommandError, UsageError } from "../errors.ts";

const kinds: Readonly<Record<string, (opened: OpenAuth, id: string) => Promise<boolean>>> = {
  account: async ({ auth }, account) => {
    await auth.revoke({ account });
    return true;
  },
  token: async ({ auth }, token) => {
    // The id of the token, or the token itself.
    const jti = token.includes(".") ? String(tokenClaims(token).jti) : token;
    await auth.revoke({ jti });
    return true;
  },
  refresh: async ({ auth }, refreshFamily) => {
    await auth.revoke({ refreshFamily });
    return true;
  },
  rule: ({ rules }, id) => rules.revoke(id),
  key: ({ auth }, id) => auth.removeKey(id),
};

const names = Object.keys(kinds);

export const command: Command = defineCommand({
  arguments: [
    { name: "kind", help: `what to revoke: ${names.join(", ")}` },
    { name: "id", help: "its id; of a token, the token itself as well" },
  ],
  options: {},
  details: `An account ends with its secret, its key and all its tokens; a token by its id (the claim jti) or its text; a\nrefresh token with all tokens of its family; a key with all tokens signed by it. Takes effect in all services within\na second, or ten if the store cannot be watched; open streams end as well.\n${aboutStore}`,
  examples: [
    ["micro auth revoke account order", "order no longer has access"],
    ["micro auth revoke rule night", "remove a rule"],
  ],
  async run({ arguments: [kind = "", id = ""], output, environment }) {
    const revoke = Object.hasOwn(kinds, kind) ? kinds[kind] : undefined;
    if (revoke === undefined) {
      throw new UsageError(`there is no ${kind} to revoke; there are: ${names.join(", ")}`);
    }
    output.progress(`revoking ${kind} ${id}`);
    await using opened = await openAuth(environment);
    if (!(await revoke(opened, id))) {
      throw new CommandError("not_found", `the store has no ${kind} ${id}`);
    }
    // A token must not be shown again.
    const shown = kind === "token" || kind === "refresh" ? {} : { id };
    output.result({ revoked: kind, ...shown }, () => "");
    output.note(kind === "token" || kind === "refresh" ? "it is revoked" : `${id} is revoked`);
  },
});
