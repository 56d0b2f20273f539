import {
  anyText,
  type Driver,
  durationText,
  omitUndefined,
  oneWord,
  pemPaths,
  readParameters,
  readTls,
} from "@micro-es/runtime/driver";
import { pubsubBroker } from "./broker/broker.ts";
import { prefixKind } from "./broker/names.ts";
import { PubSubLink } from "./link/link.ts";
import { invalid, projectKind } from "./link/options.ts";

/**
 * The driver for Google Cloud Pub/Sub for `createService({ drivers: [pubsub] })`:
 * `pubsub://my-project`. Parameters: `fleet`, what names begin with, by default `micro`;
 * `ordering`, as the option of {@link pubsubBroker}; `emulator`, the address of an emulator;
 * `endpoint`, the host of the service in a region; `credentials`, and `ca`, `cert` and `key` for
 * TLS, the paths of files; `timeout`, `startTimeout` and `ackWait` as durations (`5s`).
 */
export const pubsub: Driver = {
  schemes: ["pubsub"],
  open(url, context) {
    const parameters = readParameters(url, {
      fleet: anyText,
      ordering: oneWord("none", "key"),
      emulator: anyText,
      endpoint: anyText,
      credentials: anyText,
      ...pemPaths,
      timeout: durationText,
      startTimeout: durationText,
      ackWait: durationText,
    });
    const { fleet, ordering, emulator, endpoint, credentials } = parameters;
    const { timeout, startTimeout, ackWait } = parameters;
    const [project] = url.hosts;
    if (project !== undefined && !projectKind.accepts(project)) {
      throw invalid(
        `${JSON.stringify(project)} is not ${projectKind.words}; an address is given as in pubsub://acme-prod?emulator=127.0.0.1:8085`,
      );
    }
    if (url.path !== "") throw invalid(`the path ${url.path} is not used; use pubsub://my-project`);
    if (url.username !== undefined || url.password !== undefined) {
      throw invalid("Pub/Sub has no users; use credentials=<the path of a key file>");
    }
    if (fleet !== undefined && !prefixKind.accepts(fleet)) {
      throw invalid(`the parameter fleet must be ${prefixKind.words}`);
    }
    const link = new PubSubLink({
      ...omitUndefined({
        project,
        emulator,
        endpoint,
        credentials,
        timeoutMs: timeout,
        startTimeoutMs: startTimeout ?? context.startTimeoutMs,
      }),
      environment: context.environment,
      ...readTls(url, emulator === undefined, "leave out emulator"),
    });
    const { logger } = context;
    const options = omitUndefined({ prefix: fleet, ordering, ackWaitMs: ackWait });
    return {
      broker: () => pubsubBroker({ link, ...options, logger }),
      close: () => link.close(),
    };
  },
};
