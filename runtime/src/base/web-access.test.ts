import { describe, expect, test } from "vitest";
import { WebAccess, type WebAccessOptions, type WebRequest } from "./web-access.ts";

const loopback = "127.0.0.1:8080";
function verdict(options: Partial<WebAccessOptions>, request: Partial<WebRequest>): string {
  const access = new WebAccess({ address: loopback, ...options });
  const refusal = access.refusal({
    host: loopback,
    origin: undefined,
    fetchSite: undefined,
    ...request,
  });
  return refusal === undefined ? "accepted" : refusal.message;
}

describe("the host of a request", () => {
  test.each([
    ...["localhost", "LOCALHOST:80", "localhost.:80", "a.localhost:1", "127.0.0.1", "127.9.9.9:80"],
    ...["[::1]:80", "[0:0:0:0:0:0:0:1]", "127.1"],
    // Hosts that no browser sends: socket files, IPv6 without brackets, lists of servers.
    ...["%2Frun%2Fa.sock", "::1:80", "127.0.0.1:1,127.0.0.1:2", "ipv4:127.0.0.1:80", ""],
  ])("is accepted on a loopback address as %j", (host) => {
    expect(verdict({}, { host })).toBe("accepted");
  });

  test.each([
    ...["evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example"],
    ...["notlocalhost", "192.168.0.1", "8.8.8.8:80", "[::2]", "[::ffff:1.2.3.4]", "ev!l.example"],
  ])("is refused on a loopback address as %j", (host) => {
    for (const address of [loopback, "[::1]:8080", "localhost:8080", "127.5.5.5:1"]) {
      expect(verdict({ address }, { host })).toContain("MICRO_HOSTS");
    }
  });

  test("is accepted where it is configured, in any case and with any port", () => {
    const hosts = ["Greeter.example"];
    expect(verdict({ hosts }, { host: "greeter.EXAMPLE:99" })).toBe("accepted");
    expect(verdict({ hosts }, { host: "a.greeter.example" })).toContain("is not accepted");
    expect(verdict({ hosts: ["*"] }, { host: "evil.example" })).toBe("accepted");
  });

  test("may be any elsewhere, unless names are configured; addresses are always accepted", () => {
    const address = "0.0.0.0:8080";
    expect(verdict({ address }, { host: "evil.example" })).toBe("accepted");
    const hosts = ["greeter.example"];
    expect(verdict({ address, hosts }, { host: "evil.example" })).toContain("is not accepted");
    for (const host of ["greeter.example", "10.1.2.3:80", "[fd00::1]", "localhost"]) {
      expect(verdict({ address, hosts }, { host })).toBe("accepted");
    }
    expect(verdict({ address: "unix:/run/a.sock" }, { host: "evil.example" })).toBe("accepted");
  });
});

describe("the page of a request", () => {
  const app = "https://app.example";
  test.each<[what: string, request: Partial<WebRequest>, origins?: string[]]>([
    ["is none", {}],
    ["is of the same origin", { origin: "http://127.0.0.1:8080" }],
    ["is of the same origin, says the browser", { fetchSite: "same-origin" }],
    ["is of the same origin behind a proxy", { origin: app, fetchSite: "same-origin" }],
    ["is the address line", { fetchSite: "none" }],
    ["has an allowed origin", { origin: app, fetchSite: "cross-site" }, [app]],
    ["has any origin where all are allowed", { origin: "null", fetchSite: "cross-site" }, ["*"]],
  ])("is accepted when it %s", (_what, request, origins) => {
    expect(verdict({ origins }, request)).toBe("accepted");
  });

  test.each<[what: string, request: Partial<WebRequest>, origins?: string[]]>([
    ["has another origin", { origin: "https://evil.example" }],
    ["has another port", { origin: "http://127.0.0.1:8081" }],
    ["has another scheme", { origin: "file://127.0.0.1:8080" }],
    ["has no origin of its own", { origin: "null" }],
    ["is of another site, without an origin", { fetchSite: "cross-site" }],
    [
      "is of another site of the same host",
      { origin: "http://127.0.0.1:8080", fetchSite: "same-site" },
    ],
    ["has an origin that resembles an allowed one", { origin: `${app}.evil.example` }, [app]],
    ["has an allowed origin in capitals", { origin: "https://APP.example" }, [app]],
    [
      "is of another site without an origin, of which one is allowed",
      { fetchSite: "cross-site" },
      [app],
    ],
  ])("is refused when it %s", (_what, request, origins) => {
    expect(verdict({ origins }, request)).toContain("MICRO_CORS_ORIGINS");
  });
});

test("reports each refused name once, and remembers the first hundred", () => {
  const hosts: string[] = [];
  const origins: string[] = [];
  const access = new WebAccess({
    address: loopback,
    onRefusedHost: (host) => hosts.push(host),
    onRefusedOrigin: (origin) => origins.push(origin),
  });
  for (let index = 0; index < 300; index++) {
    access.hostRefusal("evil.example");
    access.originRefusal({ host: loopback, origin: `http://a${index}`, fetchSite: undefined });
  }
  expect(hosts).toEqual(["evil.example"]);
  expect(origins).toHaveLength(99);
});
