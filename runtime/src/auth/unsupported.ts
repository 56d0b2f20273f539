import { MicroError } from "../base/error.ts";

/** The error of an operation that an `Auth` does not have. */
export function unsupported(name: string, what: string, remedy: string): MicroError {
  return new MicroError("unimplemented", `${name} does not ${what}; ${remedy}`, {
    outcome: "not-executed",
  });
}

/** @throws MicroError `unavailable` if the `Auth` was closed. */
export function requireOpen(closed: boolean, name: string): void {
  if (!closed) return;
  throw new MicroError("unavailable", `${name} is closed`, { outcome: "not-executed" });
}
