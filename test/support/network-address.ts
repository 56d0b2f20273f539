import { networkInterfaces } from "node:os";

/**
 * An IPv4 address of this machine that is not a loopback address; undefined if it has none. It
 * stands for another machine where the loopback address is treated differently.
 */
export function networkAddress(): string | undefined {
  for (const addresses of Object.values(networkInterfaces())) {
    const found = addresses?.find(({ family, internal }) => family === "IPv4" && !internal);
    if (found !== undefined) return found.address;
  }
  return undefined;
}
