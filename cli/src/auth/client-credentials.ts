import type { CredentialSource } from "@micro-es/runtime";
import { DevelopmentIssuer, developer } from "./development-issuer.ts";
import { readToken, type TokenOptions } from "./token-options.ts";

/** Options of a client that presents a token. */
export interface ClientCredentials {
  readonly credentials?: CredentialSource;
  readonly credentialPolicy?: { readonly allowPlaintext: readonly string[] };
}

/**
 * Has a client present the token of `--token-file` or `MICRO_TOKEN` to whatever the command calls,
 * or else that of the project's development issuer to the services that it is for. The client holds
 * a token back from servers that it cannot verify: `MICRO_TOKEN_PLAINTEXT` lists addresses that may
 * get the former all the same.
 *
 * @throws UsageError as {@link readToken}; MicroError for a text that cannot be a token.
 */
export async function clientCredentials(
  options: TokenOptions,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<ClientCredentials> {
  const token = await readToken(options, environment);
  if (token === undefined) return developmentCredentials();
  const { staticToken } = await import("@micro-es/runtime/auth");
  const places = (environment.MICRO_TOKEN_PLAINTEXT ?? "").split(/[\s,]+/);
  return {
    // A person has chosen the service, which a token for a fleet does not name.
    credentials: staticToken(token, { services: "any" }),
    credentialPolicy: { allowPlaintext: places.filter((place) => place !== "") },
  };
}

/** No person chose this token for a call, so it goes only where it can be meant. */
async function developmentCredentials(): Promise<ClientCredentials> {
  const issued = await (await DevelopmentIssuer.find(process.cwd()))?.token(developer);
  if (issued === undefined) return {};
  const { staticToken } = await import("@micro-es/runtime/auth");
  const source = staticToken(issued.token, { services: "any" });
  return {
    credentials: {
      credential: (target) => {
        const { service, address } = target;
        const isFor = issued.audience.includes(service) || isOfAnAddress(service);
        return isFor && isOnThisMachine(address) ? source.credential(target) : undefined;
      },
    },
  };
}

/** Whether a command calls an address: methods that it reads from a schema then name no service. */
function isOfAnAddress(service: string): boolean {
  return service === "" || /^(?:grpc|micro)\./.test(service);
}

function isOnThisMachine(address: string): boolean {
  return /^(?:https?:\/\/)?(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?\/?$|^unix:/.test(
    address,
  );
}
