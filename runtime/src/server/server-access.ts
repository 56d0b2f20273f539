import type { AccessControl } from "../auth/access-control.ts";
import { Closable } from "../base/closable.ts";
import { MicroError } from "../base/error.ts";
import type { Logger } from "../base/logger.ts";
import { checkEntrance, isReached } from "../broker/guarded-entrance.ts";
import type { AnyMethod } from "../call/method.ts";
import type { CallAccess } from "../transport/transport.ts";
import type { ServerParts } from "./server-parts.ts";

/** Maximum number of methods that a message lists by name. */
const mostNamed = 20;

/** What a server enforces about its callers. The code for it is loaded by a server with auth. */
export class ServerAccess extends Closable {
  readonly #parts: ServerParts;
  readonly #logger: Logger;
  #control: AccessControl | undefined;

  /**
   * @throws MicroError `invalid_argument` for rules in a server without auth, which ignores them.
   */
  constructor(parts: ServerParts, logger: Logger) {
    super();
    this.#parts = parts;
    this.#logger = logger;
    const { name, auth, access } = parts;
    if (access === undefined || (auth !== undefined && auth !== false)) return;
    throw new MicroError(
      "invalid_argument",
      `server ${name} has the option access and no auth, so that nothing would enforce it; pass the option auth`,
      { outcome: "not-executed" },
    );
  }

  /**
   * Loads keys and rules, and returns what decides about callers; undefined without auth.
   * @param subscribes whether the server receives events.
   * @throws MicroError `failed_precondition` when the schema restricts callers of `methods` and
   * there is neither auth nor `auth: false`; when there is auth, and other machines can send events
   * that nothing verifies; or the error of auth or rules.
   */
  async open(methods: readonly AnyMethod[], subscribes: boolean): Promise<CallAccess | undefined> {
    const { auth, access, debugToken } = this.#parts;
    if (auth === undefined || auth === false) {
      this.#checkUnrestricted(methods);
      return undefined;
    }
    if (subscribes) this.#checkEvents();
    const { AccessControl } = await import("../auth/access-control.ts");
    if (this.isClosing) return undefined;
    this.#control ??= new AccessControl({ ...access, auth, debugToken, logger: this.#logger });
    await this.#control.open();
    return this.#control;
  }

  protected override async closeOnce(): Promise<void> {
    await this.#control?.close();
  }

  #checkEvents(): void {
    const { name, broker } = this.#parts;
    if (broker === undefined) return;
    checkEntrance(broker, `service ${name} cannot start`);
    const { entrance } = broker;
    if (!isReached(entrance) || entrance.verify !== false) return;
    this.#logger.warn(
      { service: name, address: entrance.address },
      "events are not verified: everyone who reaches the port of the broker can send them",
    );
  }

  #checkUnrestricted(methods: readonly AnyMethod[]): void {
    const { name, auth } = this.#parts;
    const restricted = methodsWithAccess(methods);
    if (restricted.length === 0) return;
    if (auth !== false) throw accessNotEnforced(name, restricted);
    this.#logger.warn(
      { service: name, methods: restricted.map((method) => method.name) },
      "auth is off: the account and scopes that the schema requires of callers are not checked",
    );
  }
}

/**
 * The methods that the schema restricts to callers with an account, in the order they were
 * registered.
 */
function methodsWithAccess(methods: readonly AnyMethod[]): readonly AnyMethod[] {
  return methods.filter(
    ({ auth }) => auth !== undefined && auth.public !== true && auth.optional !== true,
  );
}

/**
 * The error of a server that does not start, because nothing in it enforces the access that its
 * schema requires.
 *
 * @param methods the methods whose schema requires an account.
 */
function accessNotEnforced(server: string, methods: readonly AnyMethod[]): MicroError {
  const names = methods.slice(0, mostNamed).map(nameWithRule);
  if (methods.length > mostNamed) names.push(`and ${methods.length - mostNamed} more`);
  return new MicroError(
    "failed_precondition",
    `service ${server} cannot start: its schema restricts who may call ${names.join(", ")}, ` +
      "and it has no auth to enforce that. " +
      "Pass the option auth, such as localAuth() or jwtAuth() of @micro-es/runtime/auth; mark methods that are open to " +
      "everyone with auth: { public: true } in the .proto; or pass auth: false to start without these checks: " +
      "an interceptor or a proxy then has to refuse unauthorized callers",
    { outcome: "not-executed" },
  );
}

function nameWithRule({ name, auth }: AnyMethod): string {
  const scopes = auth?.scopes ?? [];
  if (scopes.length === 0) return `${name} (requires an account)`;
  return `${name} (requires the ${scopes.length === 1 ? "scope" : "scopes"} ${scopes.join(", ")})`;
}
