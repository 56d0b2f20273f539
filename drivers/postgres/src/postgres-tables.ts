import { checkOptions } from "@micro-es/runtime/driver";
import { defaultSchema, postgresKinds } from "./link/options.ts";
import { tablesText } from "./link/tables.ts";
import { outboxTables } from "./outbox/tables.ts";
import { storeTables } from "./store/tables.ts";
import { syncTables } from "./sync/tables.ts";

/**
 * The SQL that creates all tables of this driver, for whoever runs migrations as another user than
 * the services. Without it each part creates its tables on first use.
 * @throws MicroError `invalid_argument` for a schema that is not allowed.
 */
export function postgresTables(options: { readonly schema?: string } = {}): string {
  checkOptions("postgresTables", options, { schema: postgresKinds.schema });
  return tablesText(options.schema ?? defaultSchema, [storeTables, syncTables, outboxTables]);
}
