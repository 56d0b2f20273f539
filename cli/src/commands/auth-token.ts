import {
  aboutStore,
  issuerOption,
  openAuth,
  readScopes,
  requireIssuer,
} from "../auth/open-auth.ts";
import { type Command, defineCommand } from "../command.ts";
import { readDuration } from "../duration.ts";
import { UsageError } from "../errors.ts";
import { readInput } from "../files.ts";
import { oneRequest } from "../requests.ts";

export const command: Command = defineCommand({
  arguments: [{ name: "id", help: "the id of the account" }],
  options: {
    "secret-file": {
      type: "string",
      value: "path",
      help: "a file with the secret; default standard input",
    },
    scopes: {
      type: "string",
      multiple: true,
      value: "scopes",
      help: "fewer scopes than the account has",
    },
    audience: {
      type: "string",
      multiple: true,
      value: "service",
      help: "the services that the token is for; default all that set no audience of their own",
    },
    ttl: { type: "string", value: "time", help: "default 5m for a service, else 15m; at most 24h" },
    ...issuerOption,
  },
  details: `Prints an access token; --json adds its end and the refresh token. MICRO_AUTH_KEY is needed where the keys in\nthe store are wrapped.\n${aboutStore}`,
  examples: [
    [
      "MICRO_TOKEN=$(micro auth token order --secret-file order.secret) micro call stock Stock/Reserve",
      "call as order",
    ],
  ],
  async run({ arguments: [id = ""], options, output, environment }) {
    const secret = await readSecret(options["secret-file"]);
    const scopes = readScopes(options.scopes);
    const ttlMs = options.ttl === undefined ? undefined : readLife(options.ttl);
    output.progress(`issuing a token for ${id}`);
    await using opened = await openAuth(environment, options.issuer);
    requireIssuer(opened);
    const token = await opened.auth.token({
      grant: "secret",
      id,
      secret,
      ...(scopes !== undefined && { scopes }),
      ...(options.audience !== undefined && { audience: options.audience }),
      ...(ttlMs !== undefined && { ttlMs }),
    });
    output.result(
      { ...token, expiresAt: new Date(token.expiresAtMs).toISOString() },
      () => token.accessToken,
    );
  },
});

/** How long a token is valid, in milliseconds. */
function readLife(text: string): number {
  const ms = readDuration(text, "ttl");
  if (ms >= 1_000 && ms <= 24 * 3_600_000) return ms;
  throw new UsageError(`--ttl takes from 1s to 24h, not "${text}"`);
}

/** The secret of a file or of standard input; an argument would be in the list of processes. */
async function readSecret(path: string | undefined): Promise<string> {
  const text =
    path === undefined
      ? (await oneRequest(process.stdin.isTTY === true ? undefined : "-")).text
      : (await readInput(path)).toString("utf8");
  const secret = text.trim();
  if (secret !== "" && secret !== "{}") return secret;
  throw new UsageError("there is no secret: pipe it in, or pass --secret-file");
}
