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
  readonly #decisions = new Map<AnyMethod, Decision>();
  #version = -1;
  /** The method of the last call, which is usually the method of the next call too. */
  #lastMethod: AnyMethod | undefined = undefined;
  #lastDecision: Decision | undefined = undefined;

  constructor(account: Account, keepMs: number) {
    this.account = account;
    this.validUntil = deadlineAfter(account.expiresAtMs - Date.now());
    this.inspectAt = deadlineAfter(keepMs);
  }

  /** Returns the decision about a method by a version of the rules; undefined if none was made. */
  decision(method: AnyMethod, version: number): Decision | undefined {
    if (version !== this.#version) return undefined;
    if (method === this.#lastMethod) return this.#lastDecision;
    return this.#remember(method, this.#decisions.get(method));
  }

  /** Keeps a decision, and returns it. */
  decided(method: AnyMethod, version: number, decision: Decision): Decision {
    if (version !== this.#version) this.#decisions.clear();
    this.#version = version;
    this.#decisions.set(method, decision);
    this.#remember(method, decision);
    return decision;
  }

  #remember(method: AnyMethod, decision: Decision | undefined): Decision | undefined {
    this.#lastMethod = method;
    this.#lastDecision = decision;
    return decision;
  }
}
