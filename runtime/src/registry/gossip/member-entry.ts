import type { Endpoint, MemberState } from "./member-update.ts";
import type { Suspicion } from "./suspicion.ts";

/** A member in the table of another. */
export interface Member extends Endpoint {
  readonly id: string;
  /** 32 bits of the id. */
  readonly hash: number;
  host: string;
  port: number;
  state: MemberState;
  incarnation: number;
  /** When it got its state. */
  since: number;
  /** While it is suspected. */
  suspicion: Suspicion | undefined;
  /** Its place among the live members. */
  index: number;
}
