import {
  labels,
  list,
  logger,
  type OptionKindsOf,
  object,
  optionsOf,
  part,
  text,
} from "../base/option-check.ts";
import {
  anyDuration,
  broker,
  callTimeout,
  client,
  credentialPolicy,
  credentials,
  drivers,
  owned,
  registry,
  selector,
  transports,
} from "../base/option-kinds.ts";
import { propagatedKeys } from "../base/secret-keys.ts";
import { events } from "../broker/signed-events/option-kinds.ts";
import { access, authOrFalse, listen, serverLimitKinds } from "../server/option-kinds.ts";
import type { Requirements } from "./check-guarantees.ts";
import type { ServiceOptions } from "./service.ts";

const debug = part("a Debug", "debugService()", "dispatcher", "register");

const placeKinds = { address: text, advertise: text, listen };

/** The options that services and servers share. */
export const programKinds: OptionKindsOf<
  Pick<
    ServiceOptions,
    | "name"
    | "version"
    | "metadata"
    | "registry"
    | "broker"
    | "events"
    | "debug"
    | "auth"
    | "access"
    | "propagate"
    | "logger"
    | "drivers"
    | "environment"
    | "address"
    | "advertise"
    | "listen"
    | "maxConcurrentCalls"
    | "maxConcurrentStreams"
    | "ttlMs"
    | "drainDelayMs"
  >
> = {
  name: text,
  version: text,
  metadata: labels,
  registry,
  broker,
  events,
  debug,
  auth: authOrFalse,
  access,
  propagate: propagatedKeys,
  logger,
  drivers,
  environment: object,
  ...placeKinds,
  ...serverLimitKinds,
};

/** The options of `createService`. */
export const serviceKinds: OptionKindsOf<ServiceOptions> = {
  ...programKinds,
  transports,
  store: part("a Store", "memoryStore()", "read", "write"),
  sync: part("a Sync", "memorySync()", "lock", "lead"),
  selector,
  client,
  config: part("a Config", "await loadConfig([…])", "get", "watch"),
  serverInterceptors: list,
  clientInterceptors: list,
  credentials,
  credentialPolicy,
  timeoutMs: callTimeout,
  graceMs: anyDuration,
  require: optionsOf<Requirements>({
    transport: object,
    registry: object,
    broker: object,
    store: object,
    sync: object,
    config: object,
  }),
  owned,
};
