import { fetchV13 } from "@platformatic/kafka";
import { checkCode, isPassing } from "../link/failure.ts";
import type { KafkaLink } from "../link/link.ts";
import type { ReadRecord } from "./message.ts";
import { recordsOf } from "./records.ts";
import type { Topics } from "./topics.ts";

/** A part of a partition. */
export interface RecordRange {
  readonly link: KafkaLink;
  readonly topics: Topics;
  readonly topic: string;
  readonly partition: number;
  readonly from: number;
  readonly end: number;
}

const responseBytes = 1024 * 1024;
const pauseMs = 50;

/** Reads the records of a part of a partition, which exists already. */
export async function* readRecords(
  range: RecordRange,
): AsyncGenerator<ReadRecord, void, undefined> {
  const { link, topics, topic, partition, from, end } = range;
  const until = performance.now() + link.timeoutMs;
  for (let next = from; next < end; ) {
    try {
      const { id, leaders } = await topics.of(topic, `read ${topic}`);
      const connection = await link.node(leaders[partition] ?? -1);
      const asked = {
        partition,
        currentLeaderEpoch: -1,
        fetchOffset: BigInt(next),
        lastFetchedEpoch: -1,
        partitionMaxBytes: responseBytes,
      };
      const wanted = [{ topicId: id, partitions: [asked] }];
      const response = await connection.ask(
        fetchV13.api,
        0,
        1,
        responseBytes,
        0,
        0,
        -1,
        wanted,
        [],
        "",
      );
      checkCode(response.errorCode);
      const [found] = response.responses[0]?.partitions ?? [];
      checkCode(found?.errorCode ?? 0);
      const { records, next: after } = recordsOf(partition, found?.records ?? [], next);
      if (after === next) return;
      next = after;
      for (const record of records) {
        if (record.offset >= end) return;
        yield record;
      }
    } catch (error) {
      if (!isPassing(error) || performance.now() > until) throw error;
      topics.forget(topic);
      await link.pause(pauseMs);
    }
  }
}
