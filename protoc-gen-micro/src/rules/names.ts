import type { DescService } from "@bufbuild/protobuf";

const VALID = /^[A-Za-z0-9._-]+$/;

/** What the name of a service, topic or queue may not be, as a clause for an error message. */
export function nameProblem(name: string): string | undefined {
  if (name === "") return "is empty; give it a name";
  if (VALID.test(name)) return undefined;
  return `is ${JSON.stringify(name)}; use only letters, digits, dots, hyphens and underscores`;
}

/**
 * The name a service is registered by when the schema gives none: its package without a trailing version, so
 * `acme.greeter` for `acme.greeter.v1`. Without a package it is the service's own name in kebab case.
 */
export function defaultServiceName(service: DescService): string {
  const packageName = service.file.proto.package;
  if (packageName === "") return kebabCase(service.name);
  return packageName.replace(/\.v\d+(p\d+)?((alpha|beta|test)\d*)?$/, "");
}

function kebabCase(name: string): string {
  return name
    .replace(/([a-z0-9])([A-Z])/g, "$1-$2")
    .replace(/([A-Z])([A-Z][a-z])/g, "$1-$2")
    .replace(/_+/g, "-")
    .toLowerCase();
}
