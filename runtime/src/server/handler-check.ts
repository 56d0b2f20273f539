import { MicroError } from "../base/error.ts";
import { nearest } from "../base/suggest.ts";

/**
 * Validates a handler at registration, so that a missing method is not first noticed by a caller.
 *
 * @param methods names of all methods that the schema requires.
 * @throws MicroError `invalid_argument` that names every method that is missing or not a function.
 */
export function checkHandler(service: string, handler: unknown, methods: readonly string[]): void {
  if (typeof handler === "function") {
    const { name } = handler;
    throw refused(
      service,
      `is ${name === "" ? "a function" : `the class ${name}`}; pass an object or an instance`,
    );
  }
  if (typeof handler !== "object" || handler === null) {
    throw refused(
      service,
      `is ${handler === null ? "null" : typeof handler}; pass an object or an instance of a class`,
    );
  }
  const missing: string[] = [];
  const wrong: string[] = [];
  for (const name of methods) {
    const method: unknown = (handler as Record<string, unknown>)[name];
    if (typeof method === "function") continue;
    if (method === undefined) missing.push(name);
    else
      wrong.push(
        `${name} is ${method === null ? "null" : `of type ${typeof method}`} and not a function`,
      );
  }
  if (missing.length === 0 && wrong.length === 0) return;
  const faults =
    missing.length === 0 ? wrong : [`lacks ${inWords(handler, missing, methods)}`, ...wrong];
  throw refused(
    service,
    `${faults.join("; ")}; every rpc and subscriber of the schema needs a method`,
  );
}

function inWords(handler: object, missing: readonly string[], methods: readonly string[]): string {
  const others = methodNames(handler).filter((name) => !methods.includes(name));
  return missing
    .map((name) => {
      const meant = nearest(name, others);
      return meant === undefined ? name : `${name} (it has ${meant})`;
    })
    .join(", ");
}

/** The names of an object's properties, including inherited ones. */
function methodNames(handler: object): readonly string[] {
  const names: string[] = [];
  for (let it: object | null = handler; it !== null && it !== Object.prototype; ) {
    names.push(...Object.getOwnPropertyNames(it).filter((name) => name !== "constructor"));
    it = Object.getPrototypeOf(it) as object | null;
  }
  return names;
}

function refused(service: string, what: string): MicroError {
  return new MicroError("invalid_argument", `the handler of ${service} ${what}`, {
    outcome: "not-executed",
  });
}
