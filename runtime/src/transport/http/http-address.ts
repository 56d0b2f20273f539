import { MicroError } from "../../error.ts";
import { hostAndPort, readSocketAddress } from "../socket-address.ts";

/**
 * The URL of an address that HTTP can dial: `http://…`, `https://…` or `host:port`.
 * @throws MicroError `invalid_argument` that says what is wrong with it.
 */
export function readUrl(address: string): URL {
  if (!/^https?:\/\//i.test(address)) {
    const at = readSocketAddress(address);
    if (at.kind === "unix") throw invalid(`${address} is no address of HTTP: use http://host:port`);
    return new URL(`http://${hostAndPort(at.host || "localhost", at.port)}`);
  }
  let url: URL;
  try {
    url = new URL(address);
  } catch {
    throw invalid(`${JSON.stringify(address.slice(0, 256))} is no URL`);
  }
  if (url.username !== "" || url.password !== "") {
    throw invalid("a URL to call may not hold a password; send credentials as metadata");
  }
  if (url.search !== "" || url.hash !== "") throw invalid(`${address} has a query or a fragment`);
  return url;
}

function invalid(message: string): MicroError {
  return new MicroError("invalid_argument", message, { outcome: "not-executed" });
}
