import type { ClientTlsOptions } from "../tls.ts";
import type { TransportLimits } from "../transport.ts";
import type { BodyForm } from "./body-form.ts";
import { bodyForm } from "./body-forms.ts";
import type { CallForm } from "./called-call.ts";
import { GoMicroChannel } from "./go-micro-channel.ts";
import type { LinkSource } from "./link-source.ts";
import { SocketSource } from "./socket-source.ts";

const contentTypes = { binary: "application/protobuf", json: "application/json" } as const;

/** How messages are written in an encoding. */
export function callForm(encoding: keyof typeof contentTypes): CallForm {
  const contentType = contentTypes[encoding];
  return { contentType, form: bodyForm(contentType) as BodyForm };
}

/** A channel whose first link is open. @throws MicroError as {@link LinkSource.open} */
export async function connected(
  source: LinkSource,
  limits: TransportLimits,
  encoding: keyof typeof contentTypes,
): Promise<GoMicroChannel> {
  const channel = new GoMicroChannel(source, limits, callForm(encoding));
  await channel.connect();
  return channel;
}

/** Connects to a server of go-micro's HTTP transport. */
export function openChannel(to: {
  readonly address: string;
  readonly host: string;
  readonly encoding: keyof typeof contentTypes;
  readonly limits: TransportLimits;
  readonly tls: ClientTlsOptions | undefined;
}): Promise<GoMicroChannel> {
  const source = new SocketSource(to.address, to.host, to.limits, to.tls);
  return connected(source, to.limits, to.encoding);
}
