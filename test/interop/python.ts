import { execFile } from "node:child_process";
import { promisify } from "node:util";

/**
 * The first Python with grpcio; Debian's is not always first in the path. Undefined if there is
 * none.
 */
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
