import { MicroError } from "@micro-es/runtime";
import {
  AuthenticationError,
  apiVersionsV3,
  createTopicsV7,
  fetchV13,
  findCoordinatorV4,
  heartbeatV4,
  initProducerIdV4,
  joinGroupV7,
  leaveGroupV4,
  listOffsetsV7,
  metadataV12,
  offsetCommitV8,
  offsetFetchV8,
  produceV9,
  syncGroupV5,
} from "@platformatic/kafka";
import type { KafkaConnection } from "./connection.ts";
import { checkCode } from "./failure.ts";

/** The requests that are sent, in the one version that is used of each. */
const needed: readonly { readonly key: number; readonly version: number }[] = [
  createTopicsV7.api,
  fetchV13.api,
  findCoordinatorV4.api,
  heartbeatV4.api,
  initProducerIdV4.api,
  joinGroupV7.api,
  leaveGroupV4.api,
  listOffsetsV7.api,
  metadataV12.api,
  offsetCommitV8.api,
  offsetFetchV8.api,
  produceV9.api,
  syncGroupV5.api,
];

/** @throws MicroError `failed_precondition` for a broker without one of the requests. */
export async function checkVersion(connection: KafkaConnection): Promise<void> {
  const response = await connection.ask(apiVersionsV3.api, "micro-es", "1");
  checkCode(response.errorCode);
  const known = new Map(response.apiKeys.map((api) => [api.apiKey, api]));
  for (const { key, version } of needed) {
    const { name = `request ${key}`, minVersion = 1, maxVersion = 0 } = known.get(key) ?? {};
    if (minVersion <= version && version <= maxVersion) continue;
    throw new MicroError(
      "failed_precondition",
      `the Kafka broker does not support version ${version} of ${name}; use Kafka 3.1 or later`,
      { outcome: "not-executed" },
    );
  }
}

/** Whether a connection failed because the broker refused the credentials. */
export function isUnauthenticated(error: unknown): boolean {
  for (let each = error; each instanceof Error; each = each.cause) {
    if (each instanceof AuthenticationError) return true;
  }
  return false;
}
