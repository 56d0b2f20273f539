import type { LockStatus } from "@micro-es/runtime/driver";
import type { Output } from "../output.ts";

/** The column headings of a listing. */
export interface LeaseHeadings {
  readonly id: string;
  readonly holder: string;
  readonly token: string;
}

/** Shows locks or leaders: a row each, or with `--json` a line each. */
export function showLeases(
  leases: readonly LockStatus[],
  headings: LeaseHeadings,
  output: Output,
): void {
  for (const { id, holder, token, since, expiresAt } of output.json ? leases : []) {
    const shown = { id, holder, [headings.token.toLowerCase()]: String(token), since, expiresAt };
    output.result(shown, () => "");
  }
  if (output.json || leases.length === 0) return;
  const rows = leases.map(({ id, holder, token, since, expiresAt }) => {
    const left = `in ${Math.max(0, (expiresAt.getTime() - Date.now()) / 1_000).toFixed(1)} s`;
    return [id, holder, String(token), since.toISOString(), left];
  });
  const { id, holder, token } = headings;
  output.line(output.table([id, holder, token, "SINCE", "ENDS"], rows));
}
