import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, realpathSync } from "node:fs";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";

/** A ZooKeeper that tests can start. */
export interface ZooKeeperProgram {
  readonly version: string;
  /** Of its jars. */
  readonly classPath: string;
}

/** Where the packages of Debian have their jars. */
const system = "/usr/share/java";
/** The newer release that test/setup unpacks. */
const tools = fileURLToPath(new URL("../../../.tools", import.meta.url));
const needed =
  /^(slf4j-api|slf4j-nop|netty-(?!all|codec-|tcnative)[a-z-]*|metrics-core|snappy-java|commons-cli|commons-io)\.jar$/;

/**
 * The servers that tests run against, the oldest first: that of `ZOOKEEPER_SERVER`, a folder with
 * its jars; or those of the system and of test/setup.
 */
export function zooKeeperPrograms(): readonly ZooKeeperProgram[] {
  const { ZOOKEEPER_SERVER } = process.env;
  if (!existsSync(system) || spawnSync("java", ["-version"]).status !== 0) return [];
  const libraries = readdirSync(system).filter((name) => needed.test(name));
  const folders = ZOOKEEPER_SERVER === undefined ? [system, ...unpacked()] : [ZOOKEEPER_SERVER];
  return folders.flatMap((folder) => {
    // Its own jars come first: the others name those of the system's version.
    const own = ["zookeeper-jute.jar", "zookeeper.jar"].map((name) => `${folder}/${name}`);
    if (!own.every((path) => existsSync(path))) return [];
    const jars = [...own, ...libraries.map((name) => `${system}/${name}`)];
    return [{ version: versionOf(folder), classPath: jars.join(":") }];
  });
}

/** The folder of the jars of a program, as `ZOOKEEPER_SERVER` takes it. */
export function folderOf({ classPath }: ZooKeeperProgram): string {
  return classPath.slice(0, classPath.indexOf("/zookeeper-jute.jar"));
}

function unpacked(): readonly string[] {
  if (!existsSync(tools)) return [];
  const names = readdirSync(tools).filter((name) => /^zookeeper-\d/.test(name));
  return names.sort().map((name) => `${tools}/${name}`);
}

/** By the name of the folder, or of the file that the system's jar is a link to. */
function versionOf(folder: string): string {
  const names = [basename(folder), ...linksOf(folder)];
  return names.flatMap((name) => /^zookeeper-(\d[\d.]*\d)/.exec(name)?.[1] ?? [])[0] ?? "unknown";
}

function linksOf(folder: string): readonly string[] {
  const jar = realpathSync(`${folder}/zookeeper.jar`);
  return readdirSync(folder).filter(
    (name) => /^zookeeper-\d.*\.jar$/.test(name) && realpathSync(`${folder}/${name}`) === jar,
  );
}
