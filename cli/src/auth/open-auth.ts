import type { LocalAuth, Rules } from "@micro-es/runtime/auth";
import { type BackendParts, openBackendParts } from "../backend-parts.ts";
import type { OptionSpecs } from "../command.ts";
import { UsageError } from "../errors.ts";

type Variables = Readonly<Record<string, string | undefined>>;

/** Option of commands for which the issuer's name matters. */
export const issuerOption = {
  issuer: {
    type: "string",
    value: "name",
    help: "name of the issuer; default that of the keys in the store, or MICRO_AUTH_ISSUER",
  },
} as const satisfies OptionSpecs;

/** Where the commands of auth work, for their help. */
export const aboutStore =
  "Works on the store of MICRO_STORE or MICRO_BACKEND, which has to be that of the services' localAuth.";

/** Auth and rules in the store of the environment. */
export interface OpenAuth extends AsyncDisposable {
  readonly auth: LocalAuth;
  readonly rules: Rules;
  /** Undefined if neither the store, the environment nor an option names it. */
  readonly issuer: string | undefined;
}

/**
 * Opens the auth of the environment's store.
 *
 * @throws UsageError if there is no store, or another issuer's; MicroError as the store.
 */
export async function openAuth(environment: Variables, asked?: string): Promise<OpenAuth> {
  const { silentLogger } = await import("@micro-es/runtime");
  const { localAuth, storedIssuer, storeRules } = await import("@micro-es/runtime/auth");
  const backend = await openBackendParts(environment);
  try {
    const { store } = backend;
    const stored = await storedIssuer(store);
    if (asked !== undefined && stored !== undefined && asked !== stored) {
      throw new UsageError(`the keys in the store are those of ${stored}, not of ${asked}`);
    }
    const issuer = stored ?? asked ?? (environment.MICRO_AUTH_ISSUER || undefined);
    const sync = sharedSync(backend);
    const keyEncryptionKey = environment.MICRO_AUTH_KEY || undefined;
    const auth = localAuth({
      store,
      // Without a name, nothing is done that states it.
      issuer: issuer ?? "unknown",
      logger: silentLogger,
      ...(sync !== undefined && { sync }),
      ...(keyEncryptionKey !== undefined && { keyEncryptionKey }),
    });
    const rules = storeRules({ store, logger: silentLogger });
    return {
      auth,
      rules,
      issuer,
      async [Symbol.asyncDispose]() {
        await Promise.all([auth.close(), rules.close()]);
        await backend[Symbol.asyncDispose]();
      },
    };
  } catch (reason) {
    await backend[Symbol.asyncDispose]();
    throw reason;
  }
}

/** @throws UsageError if it is not known who the issuer is. */
export function requireIssuer({ issuer }: OpenAuth): string {
  if (issuer !== undefined) return issuer;
  throw new UsageError(
    "the store has no keys yet, so the issuer is not known: pass --issuer, or set MICRO_AUTH_ISSUER",
  );
}

/** Scopes of options, each of which may have several, separated by commas or spaces. */
export function readScopes(words: readonly string[] | undefined): readonly string[] | undefined {
  return words?.flatMap((word) => word.split(/[\s,]+/).filter((scope) => scope !== ""));
}

/** Undefined where each process has locks of its own. */
function sharedSync(backend: BackendParts) {
  try {
    return backend.sync;
  } catch (reason) {
    if (reason instanceof UsageError) return undefined;
    throw reason;
  }
}
