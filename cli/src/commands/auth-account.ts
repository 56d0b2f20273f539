import { aboutStore, issuerOption, openAuth, readScopes } from "../auth/open-auth.ts";
import { readPublicKey } from "../auth/public-key.ts";
import { type Command, defineCommand } from "../command.ts";

export const command: Command = defineCommand({
  arguments: [{ name: "id", help: "such as order, or user:ada" }],
  options: {
    type: { type: "string", value: "type", help: "service, user, …; default service" },
    scopes: {
      type: "string",
      multiple: true,
      value: "scopes",
      help: "what the account may do, separated by commas",
    },
    "public-key": {
      type: "string",
      value: "file",
      help: "the account's Ed25519 key, as PEM or JWK, instead of a secret",
    },
    ...issuerOption,
  },
  details: `Prints the secret of the new account, which cannot be shown again: the store has only its hash.\n${aboutStore}`,
  examples: [
    ["micro auth account order --type service --scopes stock.write", "prints the secret"],
    ["micro auth account billing --public-key billing.pem", "an account without a secret"],
  ],
  async run({ arguments: [id = ""], options, output, environment }) {
    const scopes = readScopes(options.scopes) ?? [];
    const { type = "service", "public-key": keyFile } = options;
    const publicKey = keyFile === undefined ? undefined : await readPublicKey(keyFile);
    output.progress(`creating the account ${id}`);
    await using opened = await openAuth(environment, options.issuer);
    const { auth, issuer } = opened;
    const created = { id, type, ...(issuer !== undefined && { issuer }), scopes };
    if (publicKey !== undefined) {
      await auth.register(id, publicKey, { type, scopes });
      output.result(created, () => "");
      output.note(`the account ${id} proves itself by its key`);
      return;
    }
    const { secret } = await auth.generate(id, { type, scopes });
    output.result({ ...created, secret }, () => secret);
    output.note(`this is the secret of ${id}; it cannot be shown again`);
  },
});
