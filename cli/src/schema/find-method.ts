import type { DescMethod } from "@bufbuild/protobuf";
import type { AnyMethod } from "@micro-es/runtime";
import { protobufCodec } from "@micro-es/runtime/codec";
import type { MethodKind } from "@micro-es/runtime/driver";
import { UsageError } from "../errors.ts";
import { nearestFew } from "../nearest.ts";
import type { Reflected } from "./reflection.ts";

/**
 * The method for a name: `greeter.v1.Greeter/Hello`, `Greeter/Hello`, `Greeter.Hello` or `Hello`,
 * if only one matches.
 *
 * @throws UsageError for none or several, with their names.
 */
export function findMethod(schema: Reflected, word: string): DescMethod {
  const all = schema.services.flatMap((name) => schema.registry.getService(name)?.methods ?? []);
  const wanted = word.replace(/^\//, "").replace("/", ".");
  const named = all.filter((method) => {
    const name = nameOf(method).replace("/", ".");
    return name === wanted || name.endsWith(`.${wanted}`);
  });
  // Methods that every server has, such as health checks, match only if no other does.
  const own = named.filter(({ parent }) => !isInfrastructure(parent.typeName));
  const fitting = own.length > 0 ? own : named;
  const [first] = fitting;
  if (first !== undefined && fitting.length === 1) return first;
  const names = fitting.length > 0 ? fitting.map(nameOf) : nearestNames(word, all);
  throw new UsageError(
    fitting.length > 0
      ? `${word} can be one of: ${names.join(", ")}`
      : `there is no method ${word}; there are: ${names.join(", ")}`,
  );
}

/** Whether a service is a tool of servers and not part of an application. */
export function isInfrastructure(service: string): boolean {
  return /^(grpc|micro\.debug)\./.test(service);
}

/** Full name of a method, such as `greeter.v1.Greeter/Hello`. */
export function nameOf(method: DescMethod): string {
  return `${method.parent.typeName}/${method.name}`;
}

/** The runtime's description of a method, from its descriptor only. */
export function callable(method: DescMethod): AnyMethod {
  const [input, output] = [protobufCodec(method.input), protobufCodec(method.output)];
  return {
    service: "",
    name: nameOf(method),
    kind: method.methodKind satisfies MethodKind,
    input: input as AnyMethod["input"],
    output: output as AnyMethod["output"],
    idempotency: "unknown",
  };
}

/** Names after the package, as people type them; those of the application first. */
function nearestNames(word: string, methods: readonly DescMethod[]): readonly string[] {
  const own = methods.filter(({ parent }) => !isInfrastructure(parent.typeName));
  const names = new Map(
    (own.length > 0 ? own : methods).flatMap((method) => [
      [method.name, nameOf(method)],
      [`${method.parent.name}/${method.name}`, nameOf(method)],
    ]),
  );
  return [
    ...new Set(nearestFew(word, [...names.keys()], 5).map((name) => names.get(name) ?? name)),
  ];
}
