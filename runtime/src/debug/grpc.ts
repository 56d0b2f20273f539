/** Services that gRPC tools and load balancers expect from a server: health and reflection. */
export * from "./grpc-health.ts";
export * from "./grpc-reflection.ts";
export * from "./health-status.ts";
