import { Code, ConnectError } from "@connectrpc/connect";
import { silentLogger } from "@micro-es/runtime";
import { createNotesClient } from "../page/notes-client.ts";
import { startExample } from "./start.ts";
import { signInAs } from "./visitor.ts";

/**
 * Signs in as two people without a browser, and calls the service as the page does. Exits with
 * status 1 and the reason if a call does not end as it should.
 */

/** Expects that a call is refused. */
async function refused(what: string, call: Promise<unknown>, code: Code): Promise<void> {
  const found = await call.then(
    () => "it succeeded",
    (error) => ConnectError.from(error).code,
  );
  if (found !== code) throw new Error(`${what}: expected ${Code[code]}, found ${found}`);
  console.log(`${what}: ${Code[code]}`);
}

/** Asks as a browser does before a page of this origin may call. */
async function preflight(url: string, origin: string): Promise<Headers> {
  const headers = {
    origin,
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,connect-protocol-version,content-type",
  };
  return (await fetch(`${url}/notes.v1.Notes/Add`, { method: "OPTIONS", headers })).headers;
}

try {
  // Every refused call leaves a warning in the log.
  await using example = await startExample({ site: 0, provider: 0, notes: 0 }, silentLogger);
  const { settings } = example;
  const as = (token?: string) => createNotesClient(settings.notesUrl, () => token);

  await refused("a visitor reads", as().list({}), Code.Unauthenticated);

  const ada = await signInAs("ada", settings);
  console.log(`${ada.account} signed in, with the scopes ${ada.scopes.join(", ")}`);
  await as(ada.accessToken).add({ text: "Water the plants" });
  const { notes } = await as(ada.accessToken).list({});
  console.log(`ada reads: ${notes.map(({ text, author }) => `${text} (${author})`).join(", ")}`);
  await refused("her ID token reads", as(ada.idToken).list({}), Code.Unauthenticated);

  const bob = await signInAs("bob", settings);
  console.log(`${bob.account} signed in, with the scopes ${bob.scopes.join(", ")}`);
  console.log(`bob reads: ${(await as(bob.accessToken).list({})).notes.length} notes`);
  await refused("bob writes", as(bob.accessToken).add({ text: "Hi" }), Code.PermissionDenied);

  const { origin } = new URL(example.url);
  for (const it of [origin, "https://elsewhere.example"]) {
    const headers = await preflight(settings.notesUrl, it);
    const allowed = headers.get("access-control-allow-origin");
    const who = it === origin ? "the page" : it;
    if ((allowed === it) !== (it === origin)) throw new Error(`${who}: ${allowed} is allowed`);
    if (headers.has("access-control-allow-credentials")) throw new Error("cookies are allowed");
    console.log(`${who} ${allowed === null ? "may not call" : "may call, without cookies"}`);
  }
} catch (error) {
  console.error(`Failed: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
