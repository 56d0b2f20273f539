import type { DescEnum, DescMessage, DescService } from "@bufbuild/protobuf";
import { UsageError } from "../errors.ts";
import { nearestFew } from "../nearest.ts";
import { isInfrastructure } from "./find-method.ts";
import type { Reflected } from "./reflection.ts";
import { referencesOf, render } from "./render.ts";

/** A service, message or enum, rendered as in a `.proto`. */
export interface Description {
  readonly kind: "service" | "message" | "enum";
  readonly name: string;
  readonly proto: string;
}

/**
 * Describes the elements with these names, with or without their package; without names all
 * services, with their requests and responses.
 *
 * @throws UsageError for an unknown or ambiguous name.
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

/** All services, except those that every server has. */
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
    `no element is named ${name}; there are: ${nearestFew(name, all.length > 0 ? all : services, 5).join(", ")}`,
  );
}

/**
 * The described elements, followed by all that they reference, once each; protobuf's own messages
 * are omitted.
 */
function withReferences(roots: readonly Described[]): readonly Described[] {
  const found = new Set<Described>(roots);
  // Iteration includes entries that are added to a set meanwhile.
  for (const desc of found) {
    for (const reference of referencesOf(desc)) {
      if (!reference.typeName.startsWith("google.protobuf.")) found.add(reference);
    }
  }
  return [...found];
}
