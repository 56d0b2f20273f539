import { tcpTransport } from "@micro-es/runtime";
import { methods, startGuardedServer } from "../../auth/guarded-server.ts";
import type { EchoMethod } from "../../support/echo.ts";
import type { Figure } from "../figure.ts";
import { connectNameCallers, type Verdict } from "./name-callers.ts";
import { spellingsOf } from "./spellings.ts";

const service = "micro.test.v1.Guarded";
/** A method that needs a scope, and one that a rule denies to everyone. */
const rpcs = ["Scoped", "Denied"] as const;
type Rpc = (typeof rpcs)[number];

/** What the callers of a method are told, if a text names it. */
const verdicts: Readonly<Record<Rpc, readonly Verdict[]>> = {
  Scoped: ["unauthenticated", "permission_denied", "allowed"],
  Denied: ["unauthenticated", "permission_denied", "permission_denied"],
};

/**
 * Methods are called by other spellings of their names, over six protocols, without a credential,
 * and by accounts with and without the scope: no spelling leads around the decision about the name.
 *
 * @param more methods that the server serves by such a spelling
 */
async function spelledNames(id: string, more: readonly EchoMethod[]): Promise<Figure> {
  await using guarded = await startGuardedServer(tcpTransport(), "127.0.0.1:0", more);
  await using callers = await connectNameCallers(guarded.listener.address);
  const accounts = [
    undefined,
    `Bearer ${guarded.auth.issue("echo.read")}`,
    `Bearer ${guarded.auth.issue("echo.write")}`,
  ];
  const bypasses = new Set<string>();
  const other = new Set<string>();
  let [calls, unsent, served] = [0, 0, 0];
  for (const [protocol, call] of Object.entries(callers.all)) {
    for (const rpc of rpcs) {
      for (const spelling of spellingsOf(service, rpc)) {
        const isName = nameOf(rpc, protocol) === spelling;
        for (const [index, authorization] of accounts.entries()) {
          const before = guarded.handled.length;
          let verdict: Verdict;
          try {
            verdict = await call(spelling, authorization);
          } catch (reason) {
            // Node writes no request with such characters.
            if (!isUnwritable(reason)) throw reason;
            unsent++;
            continue;
          }
          calls++;
          const isServed = guarded.handled.length > before;
          if (isServed) served++;
          const expected = isName ? verdicts[rpc][index] : undefined;
          const what = `${protocol}, ${JSON.stringify(spelling)}: ${verdict}`;
          if (isServed && expected !== "allowed") bypasses.add(what);
          else if (isName ? verdict !== expected : verdict === "allowed") other.add(what);
        }
      }
    }
  }
  const spellings = spellingsOf(service, "Scoped").length;
  return {
    id,
    recipe: `${spellings} spellings of the names of 2 methods over 6 protocols, without a credential and with those of 2 accounts`,
    found: `${calls} calls (${unsent} that Node cannot write), ${served} served, ${told(bypasses, "served to a caller who may not call the method")}, ${told(other, "with another verdict")}`,
    bound: "6 served, to the account with the scope by the name itself; 0, 0",
    holds: bypasses.size === 0 && other.size === 0 && served === 6 && spellings >= 60,
  };
}

export const namesSpelled = (): Promise<Figure> => spelledNames("AU5", []);

/** What the recipe finds where a server serves another spelling to everyone. */
export async function spellingServed(): Promise<Figure> {
  const name = `${service.toLowerCase()}/Scoped`;
  const figure = await spelledNames("AU5-planted", [{ ...methods.open, name }]);
  return {
    ...figure,
    bound: "a spelling that is served to everyone, which AU5 notices",
    holds: !figure.holds && figure.found.includes(name),
  };
}

/** The text that names a method; go-micro's names have no package. */
function nameOf(rpc: Rpc, protocol: string): string {
  return protocol === "go-micro" ? `Guarded.${rpc}` : `${service}/${rpc}`;
}

function isUnwritable(reason: unknown): boolean {
  const { code } = reason as { readonly code?: unknown };
  return code === "ERR_UNESCAPED_CHARACTERS" || code === "ERR_INVALID_CHAR";
}

function told(texts: ReadonlySet<string>, what: string): string {
  const [first] = texts;
  return `${texts.size} ${what}${first === undefined ? "" : ` (such as ${first})`}`;
}
