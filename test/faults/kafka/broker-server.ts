import {
  Connection,
  fetchV13,
  listOffsetsV7,
  metadataV12,
  offsetFetchV8,
} from "@platformatic/kafka";
import { type KafkaServer, startKafka } from "../../../drivers/kafka/test/server.ts";
import type { BrokerServer } from "../broker/backend.ts";

/** The default number of partitions of a topic. */
const partitions = Array.from({ length: 16 }, (_, index) => index);
const proxies = 2;

let shared: Promise<KafkaServer> | undefined;
let fleets = 0;

/** A fleet on the server of recipes that do not end it, since it takes seconds to start. */
export async function startFleet(): Promise<BrokerServer> {
  shared ??= startKafka({ proxies });
  return fleetOn(await shared, async () => {});
}

/** Ends the shared server, if one was started. */
export async function closeSharedServer(): Promise<void> {
  await (await shared?.catch(() => undefined))?.close();
}

/** A server that may be killed. */
export async function startBrokerServer(): Promise<BrokerServer & Pick<KafkaServer, "wipe">> {
  const server = await startKafka();
  return { ...fleetOn(server, () => server.close()), wipe: () => server.wipe() };
}

function fleetOn(server: KafkaServer, close: () => Promise<void>): BrokerServer {
  const fleet = `f${fleets++}`;
  const topic = `${fleet}.work`;
  const group = `${topic}.workers`;
  let proxy = 0;
  /** Works with the client library alone. */
  const withTools = async <T>(work: (tools: Connection) => Promise<T>): Promise<T> => {
    const tools = new Connection("tools");
    await tools.connect("127.0.0.1", server.port);
    try {
      return await work(tools);
    } finally {
      await tools.close();
    }
  };
  return {
    url: `kafka://${server.address}/?fleet=${fleet}`,
    port: server.port,
    proxy: () => server.proxy(proxy++ % proxies),
    kill: () => server.stop("SIGKILL"),
    start: () => server.start(),
    storedIds: () => withTools((tools) => idsIn(tools, topic)),
    pending: () =>
      withTools(async (tools) => {
        const [ends, committed] = [
          await endsOf(tools, topic),
          await committedBy(tools, group, topic),
        ];
        return ends.reduce((sum, end, index) => sum + end - Math.max(0, committed[index] ?? 0), 0);
      }),
    hasGroup: () =>
      withTools(async (tools) => {
        // A server without any group yet refuses to say.
        const committed = await committedBy(tools, group, topic).catch(() => [-1]);
        return !committed.includes(-1);
      }),
    [Symbol.asyncDispose]: close,
  };
}

async function endsOf(tools: Connection, name: string): Promise<readonly number[]> {
  const asked = partitions.map((partitionIndex) => ({
    partitionIndex,
    currentLeaderEpoch: -1,
    timestamp: -1n,
  }));
  const request = [{ name, partitions: asked }];
  const { topics } = await listOffsetsV7.api.async(tools, -1, 0, request);
  const ends = partitions.map(() => 0);
  for (const { partitionIndex, offset } of topics[0]?.partitions ?? []) {
    ends[partitionIndex] = Number(offset);
  }
  return ends;
}

async function committedBy(
  tools: Connection,
  groupId: string,
  name: string,
): Promise<readonly number[]> {
  const topics = [{ name, partitionIndexes: [...partitions] }];
  const request = [{ groupId, memberEpoch: -1, topics }];
  const { groups } = await offsetFetchV8.api.async(tools, request, false);
  const found = partitions.map(() => -1);
  for (const { partitionIndex, committedOffset } of groups[0]?.topics[0]?.partitions ?? []) {
    found[partitionIndex] = Number(committedOffset);
  }
  return found;
}

/** The ids of all events on a topic. */
async function idsIn(tools: Connection, name: string): Promise<readonly string[]> {
  const { topics } = await metadataV12.api.async(tools, [name], false, false);
  const topicId = topics[0]?.topicId ?? "";
  const ids: string[] = [];
  for (const [partition, end] of (await endsOf(tools, name)).entries()) {
    for (let next = 0; next < end; ) {
      const asked = {
        partition,
        currentLeaderEpoch: -1,
        fetchOffset: BigInt(next),
        lastFetchedEpoch: -1,
        partitionMaxBytes: 1024 * 1024,
      };
      const wanted = [{ topicId, partitions: [asked] }];
      const limit = 4 * 1024 * 1024;
      const { responses } = await fetchV13.api.async(
        tools,
        500,
        1,
        limit,
        0,
        0,
        -1,
        wanted,
        [],
        "",
      );
      for (const batch of responses[0]?.partitions[0]?.records ?? []) {
        for (const { offsetDelta, headers } of batch.records) {
          if (Number(batch.firstOffset) + offsetDelta < next) continue;
          const [, id] = headers.find(([header]) => header?.toString() === "micro-id") ?? [];
          ids.push(id?.toString() ?? "");
        }
        next = Number(batch.firstOffset) + batch.lastOffsetDelta + 1;
      }
    }
  }
  return ids;
}
