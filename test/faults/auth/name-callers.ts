import { once } from "node:events";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { type ClientHttp2Session, connect } from "node:http2";
import { asMicroError, Metadata, tcpTransport } from "@micro-es/runtime";
import type { Channel } from "@micro-es/runtime/driver";
import { methods } from "../../auth/guarded-server.ts";
import { outgoing } from "../../support/server.ts";

/** The server's verdict about a call; `other` for unknown methods and malformed paths. */
export type Verdict = "allowed" | "unauthenticated" | "permission_denied" | "other";

/** Calls the method that a text names, without any change to the text. */
export type NameCaller = (name: string, authorization: string | undefined) => Promise<Verdict>;

/** Callers by the protocol that they speak. They write requests themselves wherever they can. */
export interface NameCallers extends AsyncDisposable {
  readonly all: Readonly<Record<string, NameCaller>>;
}

export async function connectNameCallers(address: string): Promise<NameCallers> {
  const channel = await tcpTransport().dial(address);
  const session = connect(`http://${address}`);
  await once(session, "connect");
  return {
    all: {
      native: (name, authorization) => native(channel, name, authorization),
      gRPC: (name, authorization) => http2(session, name, authorization, "application/grpc+proto"),
      "gRPC-Web": (name, authorization) =>
        http2(session, name, authorization, "application/grpc-web+proto"),
      Connect: (name, authorization) => http2(session, name, authorization, "application/proto"),
      "HTTP/JSON": (name, authorization) => json(address, `/${name}`, authorization),
      "go-micro": (name, authorization) =>
        json(address, "/", authorization, { "micro-service": "guarded", "micro-endpoint": name }),
    },
    async [Symbol.asyncDispose]() {
      session.destroy();
      await channel.close();
    },
  };
}

async function native(
  channel: Channel,
  name: string,
  authorization: string | undefined,
): Promise<Verdict> {
  const metadata = new Metadata(authorization === undefined ? {} : { authorization });
  try {
    await channel.unary({ ...methods.scoped, name }, { text: "a" }, outgoing({ metadata }));
    return "allowed";
  } catch (reason) {
    return verdictOf(asMicroError(reason).code);
  }
}

async function http2(
  session: ClientHttp2Session,
  name: string,
  authorization: string | undefined,
  contentType: string,
): Promise<Verdict> {
  const stream = session.request({
    ":method": "POST",
    ":path": `/${name}`,
    "content-type": contentType,
    te: "trailers",
    ...(authorization !== undefined && { authorization }),
  });
  // An empty message: with a prefix of its length, but for Connect.
  stream.end(contentType.startsWith("application/grpc") ? Buffer.alloc(5) : "");
  let [httpStatus, grpcStatus]: [unknown, unknown] = [undefined, undefined];
  stream.on("response", (header) => {
    httpStatus = header[":status"];
    grpcStatus ??= header["grpc-status"];
  });
  stream.on("trailers", (trailers) => {
    grpcStatus ??= trailers["grpc-status"];
  });
  const pieces: Buffer[] = [];
  stream.on("data", (piece: Buffer) => pieces.push(piece));
  stream.on("error", () => undefined);
  await once(stream, "close");
  const text = Buffer.concat(pieces).toString("latin1");
  // gRPC-Web sends trailers as the last part of the body.
  grpcStatus ??= /grpc-status: ?(\d+)/i.exec(text)?.[1];
  if (grpcStatus !== undefined) return byGrpcStatus[String(grpcStatus)] ?? "other";
  return contentType === "application/proto" ? byHttpStatus(Number(httpStatus)) : "other";
}

async function json(
  address: string,
  path: string,
  authorization: string | undefined,
  lines: Readonly<Record<string, string>> = {},
): Promise<Verdict> {
  const [host, port] = address.split(":");
  const headers = {
    "content-type": "application/json",
    ...(authorization !== undefined && { authorization }),
    ...lines,
  };
  const sent = httpRequest({ host, port, method: "POST", path, agent: false, headers });
  sent.end("{}");
  const [response] = (await once(sent, "response")) as [IncomingMessage];
  response.resume();
  await once(response, "close");
  const error = response.headers["micro-error"];
  if (typeof error !== "string") return byHttpStatus(response.statusCode ?? 0);
  return byHttpStatus(Number((JSON.parse(error) as { code?: number }).code));
}

const byGrpcStatus: Readonly<Record<string, Verdict>> = {
  0: "allowed",
  7: "permission_denied",
  16: "unauthenticated",
};

function byHttpStatus(status: number): Verdict {
  if (status === 200) return "allowed";
  if (status === 401) return "unauthenticated";
  return status === 403 ? "permission_denied" : "other";
}

function verdictOf(code: string): Verdict {
  return code === "unauthenticated" || code === "permission_denied" ? code : "other";
}
