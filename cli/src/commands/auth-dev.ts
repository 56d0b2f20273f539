import { relative } from "node:path";
import { accessFolder, DevelopmentIssuer, developer } from "../auth/development-issuer.ts";
import { readScopes } from "../auth/open-auth.ts";
import { type Command, defineCommand } from "../command.ts";

export const command: Command = defineCommand({
  arguments: [
    {
      name: "id",
      optional: true,
      help: `account, such as the name of a service; default ${developer}`,
    },
  ],
  options: {
    scopes: {
      type: "string",
      multiple: true,
      value: "scopes",
      help: "what the account may do, separated by commas; default micro.reflect,micro.debug",
    },
    audience: {
      type: "string",
      multiple: true,
      value: "service",
      help: "a service that accepts the token; default the name of the package in this folder",
    },
  },
  details: `Writes to ${accessFolder} of this folder, which git ignores: the keys of an issuer, if there are none, its key set\nkeys.json, and <id>.token, valid for a day. Within the project, \`micro\` presents ${developer}.token to the services\nof this machine and renews it. For production there are OpenID Connect providers, and \`micro auth account\`.`,
  examples: [
    ["micro auth dev", `a token for ${developer}, renewed`],
    [
      "micro auth dev orders --scopes stock.write --audience stock",
      "a token for a service that calls another",
    ],
  ],
  async run({ arguments: [id = developer], options, output }) {
    const { readPackageFile, unscoped } = await import("../run/package-file.ts");
    const project = process.cwd();
    const name = (await readPackageFile(project))?.name;
    const own = name === undefined ? [] : [unscoped(name)];
    const issuer = await DevelopmentIssuer.open(project);
    const { token: _, ...issued } = await issuer.issue(id, {
      audience: options.audience ?? own,
      scopes: readScopes(options.scopes),
    });
    const expiresAt = new Date(issued.expiresAtMs).toISOString();
    output.result({ ...issued, expiresAt }, () => relative(project, issued.path));
    output.note(
      `the token of ${id} for ${issued.audience.join(", ") || "no service"} expires: ${expiresAt}`,
    );
  },
});
