/** Services that tools and balancers of gRPC ask of a server: health and reflection. */
export * from "./grpc-health.ts";
export * from "./grpc-reflection.ts";
export * from "./health-status.ts";
