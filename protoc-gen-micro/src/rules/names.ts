import type { DescService } from "@bufbuild/protobuf";

const VALID = /^[A-Za-z0-9._-]+$/;

/**
 * Why a name of a service, topic or queue is invalid, as a clause for an error message; undefined
 * if it is valid.
 */
export function nameProblem(name: string): string | undefined {
  if (name === "") return "is empty; set a name";
  if (VALID.test(name)) return undefined;
  return `is ${JSON.stringify(name)}; use only letters, digits, dots, hyphens and underscores`;
}

/**
 * The default registry name of a service: its package without a trailing version, so `acme.greeter`
 * for `acme.greeter.v1`. Without a package it is the service's own name in kebab case.
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
