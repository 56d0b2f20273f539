import type { Authorizer } from "@micro-es/runtime/auth";
import type { Enforcer } from "casbin";

/**
 * Has casbin decide about calls that schema and rules allow. The subject is the id of the account,
 * or `anonymous`; the object is the method's full name; the action is always `call`.
 */
export function casbinAuthorizer(enforcer: Enforcer): Authorizer {
  return {
    name: "casbin",
    async authorize({ account, resource }) {
      const allowed = await enforcer.enforce(account?.id ?? "anonymous", resource.name, "call");
      if (allowed) return { allowed };
      return { allowed, code: "permission_denied", reason: "no policy of casbin allows it" };
    },
  };
}
