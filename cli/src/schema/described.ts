import type { DescEnum, DescMessage, DescService } from "@bufbuild/protobuf";
import { UsageError } from "../command.ts";
import { nearestFew } from "../nearest.ts";
import { isInfrastructure } from "./find-method.ts";
import type { Reflected } from "./reflection.ts";
import { referencesOf, render } from "./render.ts";

/** A service, message or enum in the words of a `.proto`. */
export interface Description {
  readonly kind: "service" | "message" | "enum";
  readonly name: string;
  readonly proto: string;
}

/**
 * Describes what is called so, with or without its package; for no names all services, with all that they take and give.
 *
 * @throws UsageError for a name that nothing or more than one thing has.
 */
export function describeSchema(
  schema: Reflected,
  names: readonly string[],
): readonly Description[] {
  const found =
    names.length > 0
      ? names.map((name) => find(schema, name))
      : withReferences(ownServices(schema));
  return found.map((desc) => ({ kind: desc.kind, name: desc.typeName, proto: render(desc) }));
}

type Described = DescService | DescMessage | DescEnum;

/** All services, without those that every server has. */
function ownServices({ registry, services }: Reflected): Described[] {
  return services
    .filter((name) => !isInfrastructure(name))
    .flatMap((name) => registry.getService(name) ?? []);
}

function find({ registry, services }: Reflected, name: string): Described {
  const types = [...registry].filter((type) => type.kind !== "extension");
  const fitting = types.filter(
    ({ typeName }) => typeName === name || typeName.endsWith(`.${name}`),
  );
  const [first] = fitting;
  if (first !== undefined && fitting.length === 1) return first;
  if (fitting.length > 1) {
    throw new UsageError(
      `${name} can be one of: ${fitting.map(({ typeName }) => typeName).join(", ")}`,
    );
  }
  const all = types.map(({ typeName }) => typeName);
  throw new UsageError(
    `nothing is called ${name}; there are: ${nearestFew(name, all.length > 0 ? all : services, 5).join(", ")}`,
  );
}

/** What is described, followed by all that it names, once each; messages of protobuf itself are known. */
function withReferences(roots: readonly Described[]): readonly Described[] {
  const found = new Set<Described>(roots);
  // A set that grows while it is walked is walked to its end.
  for (const desc of found) {
    for (const reference of referencesOf(desc)) {
      if (!reference.typeName.startsWith("google.protobuf.")) found.add(reference);
    }
  }
  return [...found];
}
