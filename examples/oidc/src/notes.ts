import {
  createService,
  type Logger,
  MicroError,
  memoryRegistry,
  type Service,
  tcpTransport,
} from "@micro-es/runtime";
import { jwtAuth } from "@micro-es/runtime/auth";
import { type NoteInit, registerNotesHandler } from "./gen/notes/v1/notes_micro.ts";
import { audience } from "./provider.ts";

/** Where the service listens, and whose tokens and pages it accepts. */
export interface NotesOptions {
  readonly address: string;
  /** The OpenID provider. Its keys are found by its configuration. */
  readonly issuer: string;
  /** The origin of the page. A browser lets pages of other origins not call. */
  readonly origin: string;
  readonly logger?: Logger;
}

/** Starts the service with the notes. */
export async function startNotes({
  address,
  issuer,
  origin,
  logger,
}: NotesOptions): Promise<Service> {
  const service = createService({
    name: "notes",
    address,
    registry: memoryRegistry(),
    transports: [tcpTransport({ http: { cors: { origins: [origin] } } })],
    auth: jwtAuth({ issuer, audience }),
    ...(logger !== undefined && { logger }),
  });
  const notes: NoteInit[] = [{ text: "Buy tea", author: "ada" }];
  registerNotesHandler(service.server, {
    list: () => ({ notes }),
    add({ text }, context) {
      if (text.trim() === "") throw new MicroError("invalid_argument", "a note needs a text");
      const note = { text: text.trim(), author: context.account.id };
      notes.push(note);
      return note;
    },
  });
  await service.start();
  return service;
}
