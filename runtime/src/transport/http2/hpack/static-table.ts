import { HeaderField } from "./header-field.ts";

/** The static table (RFC 7541 appendix A): a name on each line, or a name and a value. */
const text = `
:authority
:method=GET
:method=POST
:path=/
:path=/index.html
:scheme=http
:scheme=https
:status=200
:status=204
:status=206
:status=304
:status=400
:status=404
:status=500
accept-charset
accept-encoding=gzip, deflate
accept-language
accept-ranges
accept
access-control-allow-origin
age
allow
authorization
cache-control
content-disposition
content-encoding
content-language
content-length
content-location
content-range
content-type
cookie
date
etag
expect
expires
from
host
if-match
if-modified-since
if-none-match
if-range
if-unmodified-since
last-modified
link
location
max-forwards
proxy-authenticate
proxy-authorization
range
referer
refresh
retry-after
server
set-cookie
strict-transport-security
transfer-encoding
user-agent
vary
via
www-authenticate
`;

/** The fields of the static table, by index; index 0 does not exist. */
export const staticTable: readonly (HeaderField | undefined)[] = text
  .trimEnd()
  .split("\n")
  .map((line) => {
    const [name = "", value = ""] = line.split("=");
    return name === "" ? undefined : new HeaderField(name, value);
  });

/** Number of fields of the static table. */
export const staticFields: number = staticTable.length - 1;

/** Where the static table has a name, and values of that name. */
export interface StaticName {
  /** The first index with this name. */
  readonly index: number;
  readonly values: ReadonlyMap<string, number>;
}

/** The names of the static table. */
export const staticNames: ReadonlyMap<string, StaticName> = indexNames();

function indexNames(): Map<string, StaticName> {
  const names = new Map<string, { index: number; values: Map<string, number> }>();
  for (const [index, field] of staticTable.entries()) {
    if (field === undefined) continue;
    let entry = names.get(field.name);
    if (entry === undefined) {
      entry = { index, values: new Map() };
      names.set(field.name, entry);
    }
    if (field.value !== "") entry.values.set(field.value, index);
  }
  return names;
}
