import { type Deadline, deadlineAfter } from "../base/deadline.ts";
import type { MicroError } from "../base/error.ts";
import type { Account, Identity } from "../call/account.ts";
import type { AnyMethod } from "../call/method.ts";
import type { Decision } from "./auth.ts";

/** An account with what was decided about it. */
export class VerifiedIdentity implements Identity {
  readonly account: Account;
  readonly validUntil: Deadline;
  /** When the credential is inspected again, on the clock of deadlines. */
  inspectAt: Deadline;
  ended: MicroError | undefined = undefined;
  /** Decisions of one version of the rules. */
  #decisions = new Map<AnyMethod, Decision>();
  #version = -1;

  constructor(account: Account, keepMs: number) {
    this.account = account;
    this.validUntil = deadlineAfter(account.expiresAtMs - Date.now());
    this.inspectAt = deadlineAfter(keepMs);
  }

  /** Returns the decision about a method, which is made once for each version of the rules. */
  decision(method: AnyMethod, version: number, make: () => Decision): Decision {
    if (version !== this.#version) {
      this.#decisions = new Map();
      this.#version = version;
    }
    let decision = this.#decisions.get(method);
    if (decision === undefined) {
      decision = make();
      this.#decisions.set(method, decision);
    }
    return decision;
  }
}
