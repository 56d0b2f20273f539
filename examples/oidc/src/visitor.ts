import { beginSignIn, finishSignIn, type PageSettings, type SignedIn } from "../page/sign-in.ts";

/**
 * Signs in without a browser: follows redirects, keeps cookies, and chooses an account on the
 * provider's page.
 */
export async function signInAs(account: string, settings: PageSettings): Promise<SignedIn> {
  const cookies = new Map<string, string>();
  const visit = async (url: URL, init: RequestInit = {}): Promise<Response> => {
    const cookie = [...cookies].map((it) => it.join("=")).join("; ");
    const response = await fetch(url, { ...init, redirect: "manual", headers: { cookie } });
    for (const line of response.headers.getSetCookie()) {
      const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      cookies.set(name, value);
    }
    return response;
  };
  const { url, pending } = await beginSignIn(settings);
  let at = url;
  let response = await visit(at);
  for (;;) {
    const location = response.headers.get("location");
    if (location === null) {
      if (!response.ok) throw new Error(`${at.pathname}: status ${response.status}`);
      response = await visit(at, { method: "POST", body: new URLSearchParams({ account }) });
      continue;
    }
    at = new URL(location, at);
    if (at.href.startsWith(`${settings.redirectUri}?`)) return finishSignIn(settings, pending, at);
    response = await visit(at);
  }
}
