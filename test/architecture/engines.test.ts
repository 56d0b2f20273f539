import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { versions } from "../../cli/src/templates/project.ts";

const root = join(import.meta.dirname, "../..");
const read = (file: string) => readFileSync(join(root, file), "utf8");

interface Installed {
  readonly version?: string;
  readonly engines?: { readonly node?: string };
}

type Version = readonly [major: number, minor: number, patch: number];

function parse(text: string): Version {
  const [major = 0, minor = 0, patch = 0] = text.split(".").map((part) => Number(part) || 0);
  return [major, minor, patch];
}

function compare(one: Version, other: Version): number {
  return one[0] - other[0] || one[1] - other[1] || one[2] - other[2];
}

/** Whether a range of `engines`, such as `^20.19.0 || >=22`, includes a version of Node. */
function includes(range: string, node: Version): boolean {
  return range.split("||").some((alternative) =>
    alternative
      .replaceAll(/([<>=^~]+)\s+/g, "$1")
      .trim()
      .split(/\s+/)
      .every((comparator) => {
        const [, operator = "", text = ""] = /^([<>=^~]*)(.*)$/.exec(comparator) ?? [];
        const order = compare(node, parse(text));
        if (text === "*" || text === "") return true;
        if (operator === ">=") return order >= 0;
        if (operator === ">") return order > 0;
        if (operator === "<") return order < 0;
        return node[0] === parse(text)[0] && order >= 0;
      }),
  );
}

/**
 * The client library of the Kafka driver, and what it installs: by their package.json they need a
 * later Node, of which npm warns. The driver's tests run on Node 20 nevertheless.
 */
const warned = /^(drivers\/kafka|node_modules\/@platformatic\/[a-z-]+)$/;

/** Packages of a lock file that npm warns about (EBADENGINE) on this version of Node. */
function unsupported(packages: Readonly<Record<string, Installed>>, node: Version): string[] {
  return Object.entries(packages)
    .filter(([path]) => !warned.test(path))
    .filter(([, { engines }]) => engines?.node !== undefined && !includes(engines.node, node))
    .map(([path, { version, engines }]) => `${path}@${version} needs Node ${engines?.node}`);
}

describe("what npm ci installs", () => {
  const { packages } = JSON.parse(read("package-lock.json"));
  const oldest = parse(/\d+\.\d+\.\d+/.exec(packages[""].engines.node)?.[0] ?? "");

  test("supports the oldest Node that package.json supports", () => {
    expect(oldest).toEqual([20, 19, 0]);
    expect(unsupported(packages, oldest)).toEqual([]);
  });

  test.each([">=22", "^22.13.0", "^18 || >=20.20.0", ">= 21", "18 || 22"])(
    "does not support it when a package needs Node %s",
    (node) => {
      const planted = { ...packages, "node_modules/new": { version: "1.0.0", engines: { node } } };
      expect(unsupported(planted, oldest)).toEqual([`node_modules/new@1.0.0 needs Node ${node}`]);
    },
  );
});

test("the pages install the versions that new projects get", () => {
  for (const file of ["docs/getting-started.md", "protoc-gen-micro/README.md"]) {
    const pinned = [...read(file).matchAll(/(@bufbuild\/[a-z-]+|typescript|tsx)@(\d+\.\d+\.\d+)/g)];
    expect(pinned, file).not.toEqual([]);
    const expected: Record<string, string> = {
      "@bufbuild/protobuf": versions.protobuf,
      "@bufbuild/buf": versions.buf,
      "@bufbuild/protoc-gen-es": versions.protocGenEs,
      typescript: versions.typescript,
      tsx: versions.tsx,
    };
    for (const [, name = "", version] of pinned)
      expect({ name, version }).toEqual({ name, version: expected[name] });
  }
});
