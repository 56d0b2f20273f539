import { channelOf, nameIn, type PartTables } from "../link/tables.ts";

/*
 * The ids of a key's events are drawn under a lock of the key that lasts until the transaction
 * ends, so an event of a key becomes visible after all earlier ones of the key.
 */
export const outboxTables: PartTables = {
  part: "outbox",
  version: 1,
  create: (schema) => `
create table if not exists ${schema}.outbox (
  id bigint generated always as identity primary key,
  event_id text not null,
  topic text not null,
  key text,
  content_type text not null,
  type_name text not null,
  metadata bytea not null,
  body bytea not null,
  created_at timestamptz not null default clock_timestamp(),
  attempts int not null default 0,
  retry_at timestamptz,
  parked_at timestamptz,
  error text
);
create index if not exists outbox_waiting on ${schema}.outbox (id) where parked_at is null;
create index if not exists outbox_parked on ${schema}.outbox (id) where parked_at is not null;
create index if not exists outbox_retries on ${schema}.outbox (topic, key)
  where retry_at is not null and parked_at is null;
create table if not exists ${schema}.outbox_relay (
  single boolean primary key default true check (single)
);
insert into ${schema}.outbox_relay default values on conflict do nothing;

-- Adds an event to the transaction; metadata and body are in Base64, so that every library can
-- pass them.
create or replace function ${schema}.outbox_publish(
  p_event_id text, p_topic text, p_key text, p_content_type text, p_type_name text,
  p_metadata text, p_body text, p_wake text
) returns void language plpgsql as $$
begin
  if p_key is not null then
    perform pg_advisory_xact_lock(
      hashtextextended('${nameIn(schema)} outbox ' || p_topic || ' ' || p_key, 0)
    );
  end if;
  insert into ${schema}.outbox
    (event_id, topic, key, content_type, type_name, metadata, body)
    values (p_event_id, p_topic, p_key, p_content_type, p_type_name,
      decode(p_metadata, 'base64'), decode(p_body, 'base64'));
  if p_wake = 'true' then
    perform pg_notify('${channelOf(nameIn(schema), "outbox")}', '');
  end if;
end $$;
`,
};
