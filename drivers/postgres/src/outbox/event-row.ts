import type { Buffer } from "node:buffer";
import { Metadata } from "@micro-es/runtime";
import type { OutgoingEvent } from "@micro-es/runtime/driver";
import type { Query, Row } from "../link/session.ts";

/** An event that waits in the outbox. */
export interface WaitingEvent {
  /** The number of its row. */
  readonly row: string;
  readonly topic: string;
  readonly event: OutgoingEvent & { readonly id: string };
  /** Failed attempts to publish it. */
  readonly attempts: number;
}

/** A batch ends with the event that exceeds this; one event is returned however large it is. */
const batchBytes = 16_000_000;

/**
 * The next events in their order. An event of a key that waits for its next attempt holds back the
 * later ones of the key.
 * @param schema quoted.
 */
export async function nextEvents(
  query: Query,
  schema: string,
  most: number,
): Promise<readonly WaitingEvent[]> {
  const rows = await query(
    `select * from (
      select page.*, sum(size) over (order by id) - size as before from (
        select o.*, octet_length(o.body) as size from ${schema}.outbox o
        where o.parked_at is null
          and (o.retry_at is null or o.retry_at <= clock_timestamp())
          and (o.key is null or not exists (
            select 1 from ${schema}.outbox b
            where b.topic = o.topic and b.key = o.key and b.id < o.id
              and b.parked_at is null and b.retry_at > clock_timestamp()
          ))
        order by o.id limit $1
      ) page
    ) sized where before < ${batchBytes} order by id`,
    [most],
  );
  return rows.map(waitingEvent);
}

function waitingEvent(row: Row): WaitingEvent {
  const { key } = row;
  return {
    row: row.id as string,
    topic: row.topic as string,
    event: {
      id: row.event_id as string,
      contentType: row.content_type as string,
      typeName: row.type_name as string,
      body: row.body as Buffer,
      metadata: Metadata.decode(row.metadata as Buffer),
      key: key === null || key === undefined ? undefined : (key as string),
    },
    attempts: Number(row.attempts),
  };
}
