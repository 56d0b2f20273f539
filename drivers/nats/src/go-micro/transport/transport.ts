import { MicroError, type Transport } from "@micro-es/runtime";
import {
  checkDial,
  checkOptions,
  connected,
  encoding as encodingKind,
  limitKinds,
  listenKinds,
  required,
  resolveLimits,
  type TransportLimits,
  withinDialLimits,
} from "@micro-es/runtime/driver";
import { createInbox } from "nats";
import type { NatsLink } from "../../link/link.ts";
import { natsLink } from "../../link/option-kinds.ts";
import { GoMicroSubjectListener } from "./subject-listener.ts";
import { SubjectPool } from "./subject-pool.ts";

/** Options of {@link goMicroNatsTransport}; omitted limits have their defaults. */
export interface GoMicroNatsTransportOptions extends Partial<TransportLimits> {
  /** The connection to NATS; its creator closes it, after the listeners and channels. */
  readonly link: NatsLink;
  /**
   * How messages are encoded. JSON needs methods generated with their descriptors. Default
   * `binary`.
   */
  readonly encoding?: "binary" | "json";
}

const subjectPattern = /^(?=.{1,200}$)[A-Za-z0-9_$-]+(?:\.[A-Za-z0-9_$-]+)*$/;

/**
 * The size that fits into the usual server `max_payload` of 1 MiB as base64, with 64 KiB for the
 * header.
 */
const usualMaxMessageBytes = ((1024 - 64) * 1024 * 3) / 4;

/**
 * A transport for calls to and from services that are written with go-micro and use its NATS
 * transport (docs/go-micro.md). Addresses are `nats:subject`, which go-micro writes without
 * `nats:`; listening at `nats:0` uses a unique subject.
 *
 * Messages that NATS loses stay lost, as with go-micro: a call whose request or response is lost
 * fails at its deadline. A handler is not notified when its caller is gone.
 */
export function goMicroNatsTransport(options: GoMicroNatsTransportOptions): Transport {
  checkOptions("goMicroNatsTransport", options, {
    ...limitKinds,
    link: required(natsLink),
    encoding: encodingKind,
  });
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
    async dial(address, dialOptions = {}) {
      const subject = subjectOf(address);
      checkDial(address, dialOptions);
      const source = new SubjectPool(address, subject, link, limits.maxMessageBytes);
      const opening = connected(source, limits, encoding);
      return withinDialLimits(opening, address, dialOptions, (channel) => channel.close());
    },
    async listen(address, dispatcher, listenOptions = {}) {
      const asked = subjectOf(address);
      const subject = asked === "0" ? createInbox() : asked;
      checkOptions(`listen at ${address}`, listenOptions, listenKinds);
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
    `${JSON.stringify(address.slice(0, 128))} is not an address on NATS: use nats:subject, with parts of letters, digits, "_" and "-"`,
    { outcome: "not-executed" },
  );
}
