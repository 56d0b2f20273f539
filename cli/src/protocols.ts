/** The ways to speak to an address; a service that is found by name says itself how. */
export const protocols = ["native", "grpc", "grpc-web", "connect"] as const;
export type Protocol = (typeof protocols)[number];
