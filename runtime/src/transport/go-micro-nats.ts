import { createInbox } from "nats";
import { MicroError } from "../error.ts";
import type { NatsLink } from "../nats/link.ts";
import { cancelledBy } from "./call-errors.ts";
import { connected } from "./go-micro/open-channel.ts";
import { GoMicroSubjectListener } from "./go-micro-nats/subject-listener.ts";
import { SubjectSource } from "./go-micro-nats/subject-source.ts";
import { resolveLimits } from "./limits.ts";
import type { Transport, TransportLimits } from "./transport.ts";

/** Options of {@link goMicroNatsTransport}; a limit that is left out has its default. */
export interface GoMicroNatsTransportOptions extends Partial<TransportLimits> {
  /** The connection to NATS; its maker closes it, after the listeners and channels. */
  readonly link: NatsLink;
  /** How messages are written. JSON needs methods that were generated with their descriptors. Default `binary`. */
  readonly encoding?: "binary" | "json";
}

const subjectPattern = /^(?=.{1,200}$)[A-Za-z0-9_$-]+(?:\.[A-Za-z0-9_$-]+)*$/;

/** What fits into servers' usual `max_payload` of 1 MiB as base64, with 64 KiB for the header. */
const usualMaxMessageBytes = ((1024 - 64) * 1024 * 3) / 4;

/**
 * Calls of services that are written with go-micro and use its NATS transport, and calls from them (docs/go-micro.md).
 * Addresses are `nats:subject`, which go-micro writes without `nats:`; listening at `nats:0` takes a subject of its own.
 *
 * What NATS loses is lost, as with go-micro: a call whose request or answer it was fails at its deadline. Nothing tells a
 * handler that its caller is gone.
 */
export function goMicroNatsTransport(options: GoMicroNatsTransportOptions): Transport {
  const { link, encoding = "binary", ...rest } = options;
  const limits = resolveLimits(rest);
  return {
    name: "nats",
    protocol: "mucp",
    guarantees: {
      reach: "backend",
      flowControl: "none",
      cancellation: false,
      drain: false,
      fullMetadata: false,
      resumption: false,
      encrypted: link.encrypted,
      maxMessageBytes: Math.min(limits.maxMessageBytes, usualMaxMessageBytes),
    },
    accepts: (address) => address.startsWith("nats:") && subjectPattern.test(address.slice(5)),
    async dial(address, { signal } = {}) {
      const subject = subjectOf(address);
      if (signal?.aborted === true) {
        throw cancelledBy(signal.reason, `dialling ${address}`, "not-executed");
      }
      const source = new SubjectSource(address, subject, link, limits.maxMessageBytes);
      return connected(source, limits, encoding);
    },
    async listen(address, dispatcher, listenOptions = {}) {
      const asked = subjectOf(address);
      const subject = asked === "0" ? createInbox() : asked;
      return GoMicroSubjectListener.open(link, subject, dispatcher, limits, listenOptions);
    },
  };
}

/** @throws MicroError `invalid_argument` */
function subjectOf(address: string): string {
  const subject = address.startsWith("nats:") ? address.slice(5) : "";
  if (subjectPattern.test(subject)) return subject;
  throw new MicroError(
    "invalid_argument",
    `${JSON.stringify(address.slice(0, 128))} is no address on NATS: use nats:subject, with parts of letters, digits, "_" and "-"`,
    { outcome: "not-executed" },
  );
}
