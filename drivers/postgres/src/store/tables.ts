import type { PartTables } from "../link/tables.ts";

/*
 * Versions are drawn from one sequence while the row of the key is locked, so they grow for each
 * key, also across a deletion. A key without a row gets one first, because drawing a version before
 * the insertion would let another transaction insert and delete a later one in between.
 *
 * Each change is also a row of store_changes, by which the watches of all processes follow the
 * store, with the transaction that made it: versions are not committed in their order.
 */
export const storeTables: PartTables = {
  part: "store",
  version: 1,
  create: (schema) => `
create sequence if not exists ${schema}.store_versions;
create table if not exists ${schema}.store (
  key bytea primary key,
  version bigint not null,
  value bytea,
  metadata text,
  expires_at float8
);
create index if not exists store_expires_at on ${schema}.store (expires_at)
  where expires_at is not null;
create table if not exists ${schema}.store_fences (
  key bytea not null,
  lock bytea not null,
  token numeric(20) not null,
  primary key (key, lock)
);
create table if not exists ${schema}.store_changes (
  version bigint primary key,
  xid xid8 not null,
  key bytea not null,
  value bytea,
  metadata text,
  expires_at float8,
  at timestamptz not null default clock_timestamp()
);
create index if not exists store_changes_xid on ${schema}.store_changes (xid);
create index if not exists store_changes_at on ${schema}.store_changes (at);
create table if not exists ${schema}.store_state (
  single boolean primary key default true check (single),
  trimmed xid8 not null
);
insert into ${schema}.store_state (trimmed) values ('0') on conflict do nothing;

-- Writes a key, or deletes it if the value is null. Returns what prevented it, if anything did
-- ('version', 'fence'), the new version, the version that was found (0 for none), and the largest
-- token of the lock.
create or replace function ${schema}.store_change(
  p_key bytea, p_value bytea, p_metadata text, p_expires_at float8,
  p_if bigint, p_lock bytea, p_token numeric, p_now float8,
  out prevented text, out new_version bigint, out found_version bigint, out largest numeric
) language plpgsql as $$
declare
  is_new boolean := false;
begin
  if current_setting('synchronous_commit') = 'off' then
    perform set_config('synchronous_commit', 'on', true);
  end if;
  loop
    select case when s.expires_at is null or s.expires_at > p_now then s.version else 0 end
      into found_version from ${schema}.store s where s.key = p_key for update;
    exit when found;
    found_version := 0;
    if p_if <> 0 then
      prevented := 'version';
      return;
    end if;
    if p_value is null and p_lock is null then
      return;
    end if;
    insert into ${schema}.store (key, version) values (p_key, 0) on conflict do nothing;
    if found then
      is_new := true;
      exit;
    end if;
  end loop;
  if p_if <> found_version then
    prevented := 'version';
  elsif p_lock is not null then
    select f.token into largest from ${schema}.store_fences f
      where f.key = p_key and f.lock = p_lock;
    if largest > p_token then
      prevented := 'fence';
    elsif largest is distinct from p_token then
      insert into ${schema}.store_fences as f (key, lock, token) values (p_key, p_lock, p_token)
        on conflict (key, lock) do update set token = excluded.token;
    end if;
  end if;
  if prevented is not null then
    if is_new then
      delete from ${schema}.store s where s.key = p_key;
    end if;
    return;
  end if;
  if p_value is null and is_new then
    delete from ${schema}.store s where s.key = p_key;
    return;
  end if;
  new_version := nextval('${schema}.store_versions');
  if p_value is null then
    delete from ${schema}.store s where s.key = p_key;
  else
    update ${schema}.store s
      set version = new_version, value = p_value, metadata = p_metadata,
        expires_at = p_expires_at
      where s.key = p_key;
  end if;
  insert into ${schema}.store_changes (version, xid, key, value, metadata, expires_at)
    values (new_version, pg_current_xact_id(), p_key, p_value, p_metadata, p_expires_at);
end $$;

-- Removes records that have expired by this clock and by the server's, and changes that every
-- watch has seen or will make up for by reading all records.
create or replace function ${schema}.store_clean(p_now float8) returns void
language plpgsql as $$
declare
  last xid8;
begin
  delete from ${schema}.store s where s.key in (
    select e.key from ${schema}.store e
      where e.expires_at <= least(p_now, extract(epoch from clock_timestamp()) * 1000)
      order by e.key limit 10000 for update skip locked
  );
  with gone as (
    delete from ${schema}.store_changes c where c.version in (
      select o.version from ${schema}.store_changes o
        where o.at < clock_timestamp() - interval '2 minutes'
          and o.xid < pg_snapshot_xmin(pg_current_snapshot())
        order by o.at limit 50000 for update skip locked
    ) returning c.xid
  )
  select xid into last from gone order by xid desc limit 1;
  if last is not null then
    update ${schema}.store_state set trimmed = last where trimmed < last;
  end if;
end $$;
`,
};
