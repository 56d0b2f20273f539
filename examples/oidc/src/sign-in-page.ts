import { readFile } from "node:fs/promises";
import { join } from "node:path";

const style = join(import.meta.dirname, "../page/style.css");

/** The page of the provider on which a person chooses an account. */
export async function signInPage(
  accounts: Readonly<Record<string, { name: string; scopes: readonly string[] }>>,
): Promise<string> {
  const buttons = Object.entries(accounts).map(
    ([id, { name, scopes }]) => `
      <button name="account" value="${id}">
        ${name}<small>${scopes.join(", ")}</small>
      </button>`,
  );
  return `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width" />
    <title>Sign in</title>
    <style>${await readFile(style, "utf8")}</style>
  </head>
  <body>
    <main>
      <h1>Sign in</h1>
      <p class="quiet">This is the OpenID provider. It lets everyone in: choose an account.</p>
      <form method="post" class="accounts">${buttons.join("")}
      </form>
    </main>
  </body>
</html>
`;
}
