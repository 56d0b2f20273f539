import { MicroError } from "@micro-es/runtime";
import type { OptionKind } from "@micro-es/runtime/driver";
import { isDomainName } from "../link/question.ts";

/** The template of names with SRV records (RFC 2782). */
export const serviceTemplate = "_{service}._tcp.{domain}";
/** The template of names with addresses, where a port is given. */
export const addressTemplate = "{service}.{domain}";

/** A template that makes names of services. */
export const templateKind: OptionKind = {
  words: 'a name with {service} in it, for example "{service}.service.consul"',
  accepts: (value) =>
    typeof value === "string" &&
    value.includes("{service}") &&
    !/[{}]/.test(value.replaceAll(/\{(?:service|domain)\}/g, "")) &&
    isDomainName(fill(value, "a", "a").toLowerCase()),
};

/** A domain, with or without a dot at its end. */
export const domainKind: OptionKind = {
  words: 'a domain, for example "shop.svc.cluster.local"',
  accepts: (value) => typeof value === "string" && isDomainName(normalized(value)),
};

/**
 * The name at which a service is looked up. Names of services that have dots have dashes instead,
 * because a label of a name has none.
 * @throws MicroError `invalid_argument` if the name is too long for DNS.
 */
export function nameOf(template: string, service: string, domain: string): string {
  const name = normalized(fill(template, service.replaceAll(".", "-"), domain));
  if (isDomainName(name)) return name;
  throw new MicroError("invalid_argument", `${service} cannot be looked up: ${name} is too long`, {
    outcome: "not-executed",
  });
}

function fill(template: string, service: string, domain: string): string {
  return template.replaceAll("{service}", service).replaceAll("{domain}", normalized(domain));
}

function normalized(name: string): string {
  return name.toLowerCase().replace(/\.$/, "");
}
