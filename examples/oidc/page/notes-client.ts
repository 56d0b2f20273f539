import { type Client, createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { Notes } from "../src/gen/notes/v1/notes_pb.ts";

/**
 * A client of the service.
 *
 * @param accessToken returns the token to present with a call; undefined for none
 */
export function createNotesClient(
  url: string,
  accessToken: () => string | undefined,
): Client<typeof Notes> {
  const authorize: Interceptor = (next) => (request) => {
    const token = accessToken();
    if (token !== undefined) request.header.set("authorization", `Bearer ${token}`);
    return next(request);
  };
  return createClient(Notes, createConnectTransport({ baseUrl: url, interceptors: [authorize] }));
}
