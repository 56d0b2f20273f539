export { grpcContender as contender } from "./connect-h1.ts";
