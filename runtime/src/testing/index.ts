export {
  type TestAccountOptions,
  type TestAuth,
  type TestAuthOptions,
  testAuth,
} from "../auth/test/test-auth.ts";
export { fakeHandler } from "./fake-handler.ts";
export type { FailureOptions, FailurePlan, FailureTarget } from "./planned-failures.ts";
export type { LogLine } from "./recorded-log.ts";
export { TestNetwork, type WaitOptions } from "./test-network.ts";
export {
  createTestService,
  type TestService,
  type TestServiceOptions,
} from "./test-service.ts";
