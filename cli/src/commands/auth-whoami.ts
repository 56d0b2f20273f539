import { DevelopmentIssuer, developer } from "../auth/development-issuer.ts";
import { tokenClaims } from "../auth/token-claims.ts";
import { readToken, tokenOptions } from "../auth/token-options.ts";
import { type Command, defineCommand } from "../command.ts";
import { CommandError, UsageError } from "../errors.ts";

export const command: Command = defineCommand({
  arguments: [],
  options: { ...tokenOptions },
  details:
    "Shows what the token of MICRO_TOKEN or --token-file states, or else that of the development issuer of this project.\nNothing verifies it here: only a service knows whether it is accepted. The exit code is 1 if it has expired.",
  examples: [["micro auth whoami --token-file order.token", "account, scopes and end of a token"]],
  async run({ options, output, environment }) {
    const token = (await readToken(options, environment)) ?? (await developmentToken());
    if (token === undefined) {
      throw new UsageError(
        "there is no token: set MICRO_TOKEN, pass --token-file, or run `micro auth dev` in a project",
      );
    }
    const { sub, iss, type, aud, exp, scope, scopes, act } = tokenClaims(token);
    if (typeof sub !== "string") throw new CommandError("data_loss", "the token names no account");
    const expiresAt = typeof exp === "number" ? new Date(exp * 1_000) : undefined;
    const expired = expiresAt !== undefined && expiresAt.getTime() <= Date.now();
    const held = typeof scope === "string" ? scope.split(" ") : Array.isArray(scopes) ? scopes : [];
    const account = {
      id: sub,
      issuer: iss,
      type,
      scopes: held.filter((it) => it !== ""),
      audience: [aud ?? []].flat(),
      ...(act !== undefined && { actor: act }),
      expiresAt: expiresAt?.toISOString(),
      expired,
    };
    output.result(account, () =>
      output.table(
        ["ACCOUNT", "ISSUER", "TYPE", "AUDIENCE", "SCOPES"],
        [
          [
            sub,
            String(iss ?? ""),
            String(type ?? ""),
            account.audience.join(" "),
            account.scopes.join(" "),
          ],
        ],
      ),
    );
    const end = account.expiresAt ?? "never";
    output.note(expired ? `it has expired at ${end}` : `it expires: ${end}`);
    return expired ? 1 : 0;
  },
});

/** The token that commands present within a project. */
async function developmentToken(): Promise<string | undefined> {
  return (await (await DevelopmentIssuer.find(process.cwd()))?.token(developer))?.token;
}
