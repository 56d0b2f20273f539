import { MicroError } from "../base/error.ts";
import { validateServiceName } from "../registry/validate.ts";
import { type EnvironmentValues, environmentVariables, fromEnvironment } from "./environment.ts";

/**
 * The name under which a service is registered, from its options or the environment.
 * @throws MicroError `invalid_argument` when there is none, or it is not allowed.
 */
export function serviceName(given: string | undefined, values: EnvironmentValues): string {
  const name = given ?? fromEnvironment(environmentVariables.name, values);
  if (name === undefined) {
    throw new MicroError(
      "invalid_argument",
      "a service needs a name: createService({ name }) or MICRO_NAME",
      { outcome: "not-executed" },
    );
  }
  return validateServiceName(name);
}
