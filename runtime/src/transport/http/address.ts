import { MicroError } from "../../base/error.ts";
import { hostAndPort, readSocketAddress } from "../socket-address.ts";

/**
 * Parses an address that HTTP can dial into its URL: `http://…`, `https://…` or `host:port`.
 * @throws MicroError `invalid_argument` that says what is wrong with the address.
 */
export function readUrl(address: string): URL {
  if (!/^https?:\/\//i.test(address)) {
    const at = readSocketAddress(address);
    if (at.kind === "unix") {
      throw invalid(`${address} is not an address for HTTP: use http://host:port`);
    }
    if (at.host.includes("%")) {
      throw invalid(`${address} has a zone, which a URL cannot hold: use an address without one`);
    }
    return new URL(`http://${hostAndPort(at.host || "localhost", at.port)}`);
  }
  let url: URL;
  try {
    url = new URL(address);
  } catch {
    throw invalid(`${JSON.stringify(address.slice(0, 256))} is not a valid URL`);
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
