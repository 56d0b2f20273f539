import { execFile } from "node:child_process";
import { promisify } from "node:util";

/** The first Python that has grpcio; Debian's is not always the one in the path. Undefined where there is none. */
export async function pythonWithGrpc(): Promise<string | undefined> {
  for (const python of ["python3", "/usr/bin/python3"]) {
    try {
      await promisify(execFile)(python, ["-c", "import grpc, google.protobuf"]);
      return python;
    } catch {
      // The next one may have it.
    }
  }
  return undefined;
}
