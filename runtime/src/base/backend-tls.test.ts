import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readTls } from "./backend-tls.ts";
import { BackendUrl } from "./backend-url.ts";

describe("the TLS options of a URL", () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "micro-es-"));
    writeFileSync(join(folder, "ca.pem"), "authority");
    writeFileSync(join(folder, "key.pem"), "key");
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const read = (url: string, isEncrypted: boolean) =>
    readTls(BackendUrl.parse(url) as BackendUrl, isEncrypted, "use etcds://");

  test("have the contents of the files that it names", () => {
    const url = `etcds://host?ca=${folder}/ca.pem&key=${folder}/key.pem`;
    expect(read(url, true)).toEqual({ tls: { ca: "authority", key: "key" } });
    const other = BackendUrl.parse(`postgres://host?sslrootcert=${folder}/ca.pem`) as BackendUrl;
    const names = ["sslrootcert", "sslcert", "sslkey"] as const;
    expect(readTls(other, true, "", names)).toEqual({ tls: { ca: "authority" } });
  });

  test("are those of the system without files, and absent without TLS", () => {
    expect(read("etcds://host", true)).toEqual({ tls: true });
    expect(read("etcd://host", false)).toEqual({});
  });

  test("refuse files without TLS, and a file that cannot be read", () => {
    expect(() => read("etcd://host?cert=/nowhere.pem", false)).toThrow(
      "ca, cert and key are for TLS; use etcds://",
    );
    expect(() => read("etcds://host?cert=/nowhere.pem", true)).toThrow(
      "cannot read the file of cert: ENOENT",
    );
  });
});
