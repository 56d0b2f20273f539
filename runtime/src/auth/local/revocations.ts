import type { MicroError } from "../../base/error.ts";
import type { Account } from "../../call/account.ts";
import type { Store, StoreEvent } from "../../store/store.ts";
import { FollowedRecords } from "../followed-records.ts";
import { clockSkewMs, maxTokenLifeMs } from "../token-policy.ts";

/** A token, an incarnation of an account, or a family of refresh tokens can be revoked. */
export type RevokedKind = "token" | "account" | "family";

export const revokedPrefix = "auth/revoked/";

/** After this time no token is left that a revocation could end, in milliseconds. */
const keepMs = maxTokenLifeMs + 10 * clockSkewMs;

/** The claim of a token by which each kind of revocation ends it. */
const claims = { token: "jti", account: "inc", family: "sid" } as const;
const kinds = Object.keys(claims) as readonly RevokedKind[];

/** What {@link Revocations} tell. */
export interface RevocationWatcher {
  readonly onRevoked: (hasEnded: (account: Account) => boolean) => void;
  readonly onChange: () => void;
}

/** The revocations of an issuer in a store, known to all processes that use it. */
export class Revocations {
  readonly followed: FollowedRecords;
  readonly #store: Store;
  readonly #watcher: RevocationWatcher;
  /** `<kind>/<id>` of each. */
  #revoked = new Set<string>();
  #failing: MicroError | undefined;

  constructor(store: Store, watcher: RevocationWatcher) {
    this.#store = store;
    this.#watcher = watcher;
    this.followed = new FollowedRecords(store, revokedPrefix, {
      changed: (event) => this.#changed(event),
      failing: (reason) => {
        this.#failing = reason;
        watcher.onChange();
      },
    });
  }

  /** Why revocations may be missed at the moment. */
  get failing(): MicroError | undefined {
    return this.#failing;
  }

  get entries(): readonly string[] {
    return [...this.#revoked];
  }

  /** Uses the revocations of an earlier process until those of the store are known. */
  restore(entries: readonly string[]): void {
    if (!this.followed.loaded) this.#revoked = new Set(entries);
  }

  has(kind: RevokedKind, id: string): boolean {
    return this.#revoked.has(`${kind}/${id}`);
  }

  /** Whether the account of a token was revoked. */
  isRevoked({ claims: stated }: Pick<Account, "claims">): boolean {
    return kinds.some((kind) => {
      const id = stated[claims[kind]];
      return typeof id === "string" && this.has(kind, id);
    });
  }

  async add(kind: RevokedKind, id: string, nowMs: number): Promise<void> {
    const entry = `${kind}/${id}`;
    const value = new TextEncoder().encode(JSON.stringify({ atMs: nowMs }));
    await this.#store.write(revokedPrefix + entry, value, { ttlMs: keepMs });
    this.#take([entry]);
  }

  #changed(event: StoreEvent): void {
    if (event.type === "deleted") {
      this.#revoked.delete(entryOf(event.key));
    } else if (event.type === "written") {
      this.#take([entryOf(event.record.key)]);
    } else {
      const before = this.#revoked;
      this.#revoked = new Set();
      const entries = event.records.map(({ key }) => entryOf(key));
      this.#take(entries, before);
    }
  }

  #take(entries: readonly string[], known: ReadonlySet<string> = this.#revoked): void {
    const added = entries.some((entry) => !known.has(entry));
    for (const entry of entries) this.#revoked.add(entry);
    if (added) this.#watcher.onRevoked((account) => this.isRevoked(account));
    this.#watcher.onChange();
  }
}

function entryOf(key: string): string {
  return key.slice(revokedPrefix.length);
}
