import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger } from "@micro-es/runtime";
import { type BrowserContext, chromium, type Page, type Request } from "playwright-core";
import { afterEach, describe, expect, test, vi } from "vitest";
import { type Example, startExample } from "../../examples/oidc/src/start.ts";
import { chromiumFlags, chromiumPath, hasChromium } from "../support/chromium.ts";
import { testInCi } from "../support/long.ts";

/** The page of `examples/oidc` in a real browser, with a real OpenID provider. */

const open: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

/** `OIDC_SCREENSHOTS=FOLDER` keeps pictures of the page. */
async function picture(page: Page, name: string): Promise<void> {
  const folder = process.env.OIDC_SCREENSHOTS;
  if (folder !== undefined) await page.screenshot({ path: join(folder, `${name}.png`) });
}

interface Visit {
  readonly example: Example;
  readonly page: Page;
  /** The calls of the service that the browser has sent, with their preflights. */
  readonly calls: readonly Request[];
}

async function visit(colorScheme: "light" | "dark" = "light"): Promise<Visit> {
  const example = await startExample({ site: 0, provider: 0, notes: 0 }, silentLogger);
  open.push(() => example[Symbol.asyncDispose]());
  const profile = await mkdtemp(join(tmpdir(), "oidc-page-"));
  open.push(() => rm(profile, { recursive: true, force: true }));
  const browser: BrowserContext = await chromium.launchPersistentContext(profile, {
    executablePath: chromiumPath as string,
    args: [...chromiumFlags],
    viewport: { width: 760, height: 480 },
    colorScheme,
  });
  open.push(() => browser.close());
  const page = await browser.newPage();
  const calls: Request[] = [];
  page.on("request", (request) => {
    if (request.url().startsWith(example.settings.notesUrl)) calls.push(request);
  });
  await page.goto(example.url);
  return { example, page, calls };
}

async function signIn(page: Page, account: string): Promise<void> {
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL(/sign-in/);
  await picture(page, `choose-${account}`);
  await page.getByRole("button", { name: account }).click();
  await page.getByText(`Signed in as ${account.toLowerCase()}`).waitFor();
}

const notesOf = (page: Page) => page.locator("#notes li").allTextContents();
const messageOf = (page: Page) => page.locator("#message").textContent();

async function add(page: Page, text: string): Promise<void> {
  await page.getByPlaceholder("Another note").fill(text);
  await page.getByRole("button", { name: "Add" }).click();
}

describe.skipIf(!hasChromium("the page of examples/oidc"))("the page of examples/oidc", () => {
  test("signs in by code with PKCE, and calls with the token and without cookies", async () => {
    const { example, page, calls } = await visit();
    await picture(page, "visitor");
    const authorization = page.waitForRequest(/code_challenge=/);
    await signIn(page, "Ada");
    const asked = new URL((await authorization).url()).searchParams;
    expect(asked.get("code_challenge_method")).toBe("S256");
    expect(asked.get("response_type")).toBe("code");
    await expect.poll(() => notesOf(page)).toEqual(["Buy teaada"]);
    await add(page, "Water the plants");
    await expect.poll(() => notesOf(page)).toEqual(["Buy teaada", "Water the plantsada"]);
    await picture(page, "ada");

    // The code has left the address, and no token is stored.
    expect(page.url()).toBe(example.url);
    const stored = await page.evaluate(
      "JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie])",
    );
    expect(String(stored)).not.toMatch(/eyJ/);
    const made = calls.filter((call) => call.method() === "POST");
    expect(made.length).toBeGreaterThanOrEqual(3);
    for (const call of made) {
      const headers = await call.allHeaders();
      expect(headers.authorization).toMatch(/^Bearer eyJ/);
      expect(headers.cookie).toBeUndefined();
      const response = await call.response();
      expect(response?.headers()["access-control-allow-origin"]).toBe(new URL(page.url()).origin);
      expect(response?.headers()["access-control-allow-credentials"]).toBeUndefined();
    }
  }, 60_000);

  testInCi(
    "is refused what the account may not do, and what another account may",
    async () => {
      const { page } = await visit("dark");
      await signIn(page, "Bob");
      await expect.poll(() => notesOf(page)).toEqual(["Buy teaada"]);
      await add(page, "Hello");
      await expect.poll(() => messageOf(page)).toContain("refused: bob lacks the scope");
      await picture(page, "bob-refused");
      expect(await notesOf(page)).toEqual(["Buy teaada"]);
      // Another account is chosen, though the provider still knows Bob.
      await page.getByRole("button", { name: "Sign out" }).click();
      await signIn(page, "Ada");
      await add(page, "Hello");
      await expect.poll(() => notesOf(page)).toEqual(["Buy teaada", "Helloada"]);
    },
    60_000,
  );

  test("signs in again when the token has expired, and repeats the call", async () => {
    const { page, calls } = await visit();
    await signIn(page, "Ada");
    await expect.poll(() => notesOf(page)).toEqual(["Buy teaada"]);
    // Provider and service are in this process; the browser has its own clock.
    vi.useFakeTimers({ toFake: ["Date", "performance"], shouldAdvanceTime: true });
    open.push(() => vi.useRealTimers());
    vi.advanceTimersByTime(10 * 60_000);
    const signedInAgain = page.waitForRequest(/code_challenge=/);
    await add(page, "Later");
    await signedInAgain;
    await expect.poll(() => notesOf(page)).toEqual(["Buy teaada", "Laterada"]);
    const statuses: (number | undefined)[] = [];
    const tokens = new Set<string | undefined>();
    for (const call of calls.filter((it) => it.url().endsWith("/Add"))) {
      if (call.method() !== "POST") continue;
      statuses.push((await call.response())?.status());
      tokens.add((await call.allHeaders()).authorization);
    }
    expect(statuses).toEqual([401, 200]);
    expect(tokens.size).toBe(2);
  }, 60_000);

  testInCi(
    "reports a token that is refused at once, and does not sign in for ever",
    async () => {
      const { example, page } = await visit();
      let visits = 0;
      page.on("request", (request) => {
        if (request.url().includes("code_challenge=")) visits++;
      });
      // As with a service that expects another audience.
      await page.route(`${example.settings.notesUrl}/**`, (route) => {
        const headers = { ...route.request().headers(), authorization: "Bearer a.b.c" };
        return route.continue({ headers });
      });
      await signIn(page, "Ada");
      await expect.poll(() => messageOf(page)).toContain("Unauthenticated");
      expect(visits).toBe(1);
    },
    60_000,
  );
});
