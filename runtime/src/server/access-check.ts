import { MicroError } from "../base/error.ts";
import type { AnyMethod } from "../call/method.ts";

/** Maximum number of methods that a message lists by name. */
const mostNamed = 20;

/**
 * The methods that the schema restricts to callers with an account, in the order they were
 * registered.
 */
export function methodsWithAccess(methods: readonly AnyMethod[]): readonly AnyMethod[] {
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
export function accessNotEnforced(server: string, methods: readonly AnyMethod[]): MicroError {
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
