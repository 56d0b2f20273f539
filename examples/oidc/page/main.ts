import { Code, ConnectError } from "@connectrpc/connect";
import { createNotesClient } from "./notes-client.ts";
import { beginSignIn, finishSignIn, type PageSettings, type SignedIn } from "./sign-in.ts";

/** What the page does after it came back from the provider. */
interface Visit {
  readonly pending: Awaited<ReturnType<typeof beginSignIn>>["pending"];
  /** The note that could not be added before. */
  readonly text: string | undefined;
}

const settings: PageSettings = await (await fetch("settings.json")).json();
const notes = createNotesClient(settings.notesUrl, () => person?.accessToken);
/**
 * In memory only: every script that ever runs on this origin can read the storage of the browser.
 */
let person: SignedIn | undefined;
/** Whether the service has accepted the token. */
let accepted = false;

const element = <E extends HTMLElement>(id: string) => document.getElementById(id) as E;
const text = element<HTMLInputElement>("text");

element("sign-in").addEventListener("click", () => run(() => leave(undefined)));
element("sign-out").addEventListener("click", () => {
  person = undefined;
  say("");
  show();
});
element("refresh").addEventListener("click", () => run(list));
element("add").addEventListener("submit", (event) => {
  event.preventDefault();
  run(() => add(text.value));
});
run(arrive);

/** Goes to the provider. After a sign-out, the person wants to choose the account. */
async function leave(unsent: string | undefined): Promise<void> {
  const chosen = person === undefined && sessionStorage.getItem("signed-in") !== null;
  const { url, pending } = await beginSignIn(settings, chosen ? "login" : undefined);
  sessionStorage.setItem("visit", JSON.stringify({ pending, text: unsent } satisfies Visit));
  location.assign(url);
}

/** Completes a sign-in if the browser comes from the provider. */
async function arrive(): Promise<void> {
  const address = new URL(location.href);
  const kept = sessionStorage.getItem("visit");
  sessionStorage.removeItem("visit");
  // The code works once, and has no place in the history.
  history.replaceState(null, "", "/");
  if (kept === null || !(address.searchParams.has("code") || address.searchParams.has("error"))) {
    show();
    return;
  }
  const visit = JSON.parse(kept) as Visit;
  person = await finishSignIn(settings, visit.pending, address);
  sessionStorage.setItem("signed-in", "");
  show();
  if (visit.text === undefined) await list();
  else await add(visit.text);
}

async function list(): Promise<void> {
  await call(undefined, async () => {
    const items = (await notes.list({})).notes.map((note) => {
      const item = document.createElement("li");
      const author = document.createElement("small");
      author.textContent = note.author;
      item.append(note.text, author);
      return item;
    });
    element("notes").replaceChildren(...items);
  });
}

async function add(note: string): Promise<void> {
  text.value = note;
  await call(note, async () => {
    await notes.add({ text: note });
    text.value = "";
  });
  if (text.value === "") await list();
}

/**
 * Makes a call. A token that the service accepted before has ended when it is refused, and the
 * provider gives another one: at once, as long as its own session lasts. A refused call was not
 * executed, so it can be repeated then.
 */
async function call(unsent: string | undefined, work: () => Promise<void>): Promise<void> {
  try {
    await work();
    accepted = true;
    say("");
  } catch (error) {
    const { code, rawMessage } = ConnectError.from(error);
    if (code === Code.Unauthenticated && accepted) return leave(unsent);
    if (code === Code.PermissionDenied) accepted = true;
    say(
      code === Code.PermissionDenied
        ? `The service refused: ${person?.account} lacks the scope for this.`
        : `The call failed: ${Code[code]}, ${rawMessage}`,
    );
  }
}

function show(): void {
  element("visitor").hidden = person !== undefined;
  element("person").hidden = person === undefined;
  element("account").textContent = person?.account ?? "";
  element("scopes").replaceChildren(
    ...(person?.scopes ?? []).map((scope) => {
      const chip = document.createElement("span");
      chip.textContent = scope;
      return chip;
    }),
  );
}

function say(message: string): void {
  element("message").textContent = message;
}

function run(work: () => Promise<void>): void {
  work().catch((error) => {
    show();
    say(error instanceof Error ? error.message : String(error));
  });
}
