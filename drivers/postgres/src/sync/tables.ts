import { channelOf, nameIn, type PartTables } from "../link/tables.ts";

/*
 * As in the store, a revision is drawn while the row of its key is locked.
 */
export const syncTables: PartTables = {
  part: "sync",
  version: 1,
  create: (schema) => `
create sequence if not exists ${schema}.lease_revisions;
create table if not exists ${schema}.leases (
  key bytea primary key,
  revision bigint not null,
  value bytea,
  at timestamptz not null default clock_timestamp()
);

-- Writes a lease if its revision is this one, 0 for none. Returns the new one, or null.
create or replace function ${schema}.lease_put(
  p_key bytea, p_value bytea, p_if bigint, out new_revision bigint
) language plpgsql as $$
begin
  if current_setting('synchronous_commit') = 'off' then
    perform set_config('synchronous_commit', 'on', true);
  end if;
  if p_if = 0 then
    insert into ${schema}.leases (key, revision) values (p_key, 0) on conflict do nothing;
    if not found then
      return;
    end if;
  end if;
  update ${schema}.leases l
    set revision = nextval('${schema}.lease_revisions'), value = p_value, at = clock_timestamp()
    where l.key = p_key and l.revision = p_if
    returning l.revision into new_revision;
end $$;

-- Deletes a lease if its revision is this one, and wakes those who wait for it.
create or replace function ${schema}.lease_delete(
  p_key bytea, p_if bigint, out deleted boolean
) language plpgsql as $$
begin
  delete from ${schema}.leases l where l.key = p_key and l.revision = p_if;
  deleted := found;
  if deleted then
    perform pg_notify('${channelOf(nameIn(schema), "sync")}', encode(p_key, 'hex'));
  end if;
end $$;
`,
};
