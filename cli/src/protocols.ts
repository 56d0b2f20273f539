/** Protocols to call an address by; the registry has that of a service found by name. */
export const protocols = ["native", "grpc", "grpc-web", "connect"] as const;
export type Protocol = (typeof protocols)[number];
