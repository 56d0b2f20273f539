import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** A Kafka that tests can start. */
export interface KafkaProgram {
  readonly version: string;
  /** Of its jars. */
  readonly classPath: string;
}

/** Where test/setup keeps it. */
const tools = fileURLToPath(new URL("../../../.tools", import.meta.url));

/** The servers there are: `KAFKA_SERVER`, a folder of jars, or those that test/setup installed. */
export function kafkaPrograms(): readonly KafkaProgram[] {
  const { KAFKA_SERVER } = process.env;
  if (spawnSync("java", ["-version"]).status !== 0) return [];
  const folders = KAFKA_SERVER === undefined ? installed() : [KAFKA_SERVER];
  return folders.flatMap((folder) => {
    if (!existsSync(folder)) return [];
    const jar = readdirSync(folder).find((name) => /^kafka_[\d.]+-\d.*\.jar$/.test(name));
    const version = /^kafka_[\d.]+-(.+)\.jar$/.exec(jar ?? "")?.[1];
    return version === undefined ? [] : [{ version, classPath: `${folder}/*` }];
  });
}

function installed(): readonly string[] {
  if (!existsSync(tools)) return [];
  const names = readdirSync(tools).filter((name) => /^kafka-\d/.test(name));
  return names.sort().map((name) => join(tools, name));
}
