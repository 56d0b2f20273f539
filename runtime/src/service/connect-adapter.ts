/** What programs with clients and routers of Connect use; they install Connect themselves. */
export { grpcHealthRoutes, grpcReflectionRoutes } from "../debug/connect-routes.ts";
export { connectRoutes } from "./connect/connect-routes.ts";
export { type ConnectTransportOptions, connectTransport } from "./connect/connect-transport.ts";
