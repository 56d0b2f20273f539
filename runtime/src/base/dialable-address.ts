import { type LookupAddress, lookup } from "node:dns";
import type { LookupFunction } from "node:net";
import { AddressRanges } from "./address-ranges.ts";
import { MicroError } from "./error.ts";

/**
 * Wildcards, multicast, and the reserved class E with broadcast: no service is reachable there. The
 * prefix for local NAT64 (RFC 8215) embeds the IPv4 address at varying positions, so no address
 * under it can be judged.
 */
const noHost = new AddressRanges(
  ["0.0.0.0", 8],
  ["224.0.0.0", 4],
  ["240.0.0.0", 4],
  ["::", 128],
  ["ff00::", 8],
  ["64:ff9b:1::", 48],
);

/**
 * Where clouds serve instance metadata, which includes credentials, to any request from the
 * machine: AWS, Google, OpenStack and others (169.254.169), AWS ECS and EKS (169.254.170), Tencent,
 * Alibaba, Azure, Oracle, and on IPv6 AWS, Google and OpenStack.
 */
const metadata = new AddressRanges(
  ["169.254.169.0", 24],
  ["169.254.170.0", 24],
  ["169.254.0.23", 32],
  ["100.100.100.200", 32],
  ["168.63.129.16", 32],
  ["192.0.0.0", 24],
  ["fd00:ec2::", 32],
  ["fd20:ce::", 32],
  ["fe80::a9fe:a9fe", 128],
);

/**
 * Whether an IP address, in any form, is one that a registry record or an event must not name;
 * false for names. Every registry, the HTTP broker and all transports refuse such addresses.
 */
export function isUndialable(host: string): boolean {
  return noHost.reaches(host) || isCloudMetadata(host);
}

/** Whether an IP address is one at which a cloud serves instance metadata. */
export function isCloudMetadata(host: string): boolean {
  return metadata.reaches(host);
}

/**
 * Resolves a name for a socket, and fails with `permission_denied` when one of its addresses is not
 * allowed. The socket connects to the checked address, so the name cannot be rebound afterwards
 * (DNS rebinding).
 * @param refusal makes the error; called when an address is not allowed.
 */
export function lookupAllowed(
  allow: (address: string) => boolean,
  refusal: (name: string) => MicroError,
): LookupFunction {
  return (name, options, callback) => {
    lookup(name, { ...options, all: true }, (error, found: LookupAddress[]) => {
      if (error !== null) return callback(error, "");
      if (!found.every(({ address }) => allow(address))) {
        return callback(refusal(name) as NodeJS.ErrnoException, "");
      }
      if (options.all === true) return callback(null, found);
      return callback(null, found[0]?.address ?? "", found[0]?.family);
    });
  };
}

/** For the sockets of transports: names must not resolve to a cloud's metadata service. */
export const lookupDialable: LookupFunction = lookupAllowed(
  (address) => !isCloudMetadata(address),
  metadataRefused,
);

/**
 * @throws MicroError `permission_denied` for an IP address at which a cloud serves instance
 * metadata.
 */
export function checkDialable(host: string): void {
  if (isCloudMetadata(host)) throw metadataRefused(host);
}

function metadataRefused(host: string): MicroError {
  return new MicroError(
    "permission_denied",
    `cannot dial ${host}: it is where a cloud serves the metadata and credentials of a machine, not a service`,
    { outcome: "not-executed" },
  );
}
