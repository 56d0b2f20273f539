import { MicroError } from "@micro-es/runtime";
import {
  type BackendTlsOptions,
  backendTls,
  durationMs,
  type OptionKind,
  type OptionKindsOf,
  part,
  readAddress,
  text,
} from "@micro-es/runtime/driver";

/** The project of Google Cloud, and how to reach and authenticate to Pub/Sub. */
export interface PubSubOptions {
  /**
   * The id of the project. Default: the variable `GOOGLE_CLOUD_PROJECT`, or the project of the
   * credentials.
   */
  readonly project?: string;
  /**
   * The address of an emulator, such as `127.0.0.1:8085`, which is used without TLS and without
   * credentials. Default: the variable `PUBSUB_EMULATOR_HOST`, unless {@link endpoint} is set.
   */
  readonly emulator?: string;
  /**
   * The host of the service, such as `us-east1-pubsub.googleapis.com`, with a port unless it is
   * 443; always with TLS. Default `pubsub.googleapis.com`.
   */
  readonly endpoint?: string;
  /** Other authorities than the system's, and a certificate of this client. */
  readonly tls?: BackendTlsOptions | true;
  /**
   * The path of a JSON file with the key of a service account, or with the credentials that
   * `gcloud auth application-default login` writes. Default: the variable
   * `GOOGLE_APPLICATION_CREDENTIALS`; without it, the account of the machine, from Google's
   * metadata server.
   */
  readonly credentials?: string;
  /** Returns a current access token, instead of {@link credentials}. Called before each request. */
  readonly accessToken?: () => string | Promise<string>;
  /** Timeout of connecting, and of a response, in milliseconds. Default 10,000. */
  readonly timeoutMs?: number;
  /**
   * How long the first use waits for a service that cannot be reached yet, in milliseconds. Later
   * uses fail immediately while there is no connection. Default 30,000; 0 does not wait.
   */
  readonly startTimeoutMs?: number;
  /** The environment variables. Default: those of the process. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
}

export const defaultTimeoutMs = 10_000;
export const defaultStartTimeoutMs = 30_000;
const defaultEndpoint = "pubsub.googleapis.com";

/** A connection that several parts share. */
const pubSubLink: OptionKind = part("a PubSubLink", "new PubSubLink({ project })", "call", "open");

const projectPattern = /^[a-z][a-z0-9:.-]{4,62}[a-z0-9]$/;

export const projectKind: OptionKind = {
  words: 'the id of a project, for example "acme-prod"',
  accepts: (value) => typeof value === "string" && projectPattern.test(value),
};

const callable: OptionKind = {
  words: "a function",
  accepts: (value) => typeof value === "function",
};

const variables: OptionKind = {
  words: "an object of variables, such as process.env",
  accepts: (value) => typeof value === "object" && value !== null,
  secret: true,
};

export const pubSubKinds: OptionKindsOf<PubSubOptions> = {
  project: projectKind,
  emulator: text,
  endpoint: text,
  tls: backendTls,
  credentials: text,
  accessToken: callable,
  timeoutMs: durationMs(1),
  startTimeoutMs: durationMs(0),
  environment: variables,
};

/** The options that every part accepts. */
export const pubSubPartKinds: OptionKindsOf<PubSubOptions & { link?: object }> = {
  ...pubSubKinds,
  link: pubSubLink,
};

/** Where the service is. */
export interface ServiceAddress {
  /** For the transport. */
  readonly url: string;
  readonly isEmulator: boolean;
}

/**
 * The address of the service or of an emulator.
 * @throws MicroError `invalid_argument` for an invalid address, and for an emulator together with
 * what only the service has.
 */
export function addressOf(options: PubSubOptions): ServiceAddress {
  const { endpoint, environment = process.env } = options;
  const named = endpoint === undefined ? environment.PUBSUB_EMULATOR_HOST || undefined : undefined;
  const emulator = options.emulator ?? named;
  if (options.emulator !== undefined && endpoint !== undefined) {
    throw invalid("Pub/Sub takes an emulator or an endpoint, not both");
  }
  if (emulator === undefined) {
    const refusal =
      "is not an endpoint of Pub/Sub; use a host such as us-east1-pubsub.googleapis.com";
    const { text: host } = readAddress(endpoint ?? defaultEndpoint, 443, refusal);
    return { url: `https://${host}`, isEmulator: false };
  }
  if (options.emulator !== undefined && options.tls !== undefined) {
    throw invalid("an emulator of Pub/Sub has no TLS; leave out tls, or use endpoint");
  }
  const where = options.emulator === undefined ? " in PUBSUB_EMULATOR_HOST" : "";
  const refusal = `is not an address of an emulator${where}; use host:port, such as 127.0.0.1:8085`;
  const { text: host } = readAddress(emulator.trim(), 8085, refusal);
  return { url: `http://${host}`, isEmulator: true };
}

export function invalid(message: string, cause?: unknown): MicroError {
  return new MicroError("invalid_argument", message, { outcome: "not-executed", cause });
}
