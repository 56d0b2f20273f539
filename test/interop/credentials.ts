import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";

/** Files with a self-signed certificate for localhost, and its key. */
export interface Credentials {
  readonly certFile: string;
  readonly keyFile: string;
}

/** Makes credentials in a folder. */
export async function makeCredentials(folder: string): Promise<Credentials> {
  const [certFile, keyFile] = [join(folder, "server.pem"), join(folder, "server.key")];
  await promisify(execFile)("openssl", [
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"],
    ...["-days", "2", "-subj", "/CN=localhost"],
    ...["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
    ...["-keyout", keyFile, "-out", certFile],
  ]);
  return { certFile, keyFile };
}
