import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type JsonWebKey,
  type KeyObject,
  randomBytes,
  randomUUID,
  sign,
} from "node:crypto";
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { EventSigner } from "@micro-es/runtime/auth";
import { UsageError } from "../errors.ts";
import { exists } from "../files.ts";
import { tokenClaims } from "./token-claims.ts";

/** The folder of a development issuer, relative to its project. */
export const accessFolder: string = join(".micro", "access");

/** The account whose token `micro` presents within a project. */
export const developer = "developer";

/** Scopes of a development account, unless others are given: what `micro` needs. */
const defaultScopes: readonly string[] = ["micro.reflect", "micro.debug"];

/** The name of every development issuer; the keys tell them apart. */
const issuerName = "development";

/** The account by which the services of a project and `micro pub` sign events. */
const eventPublisher = { issuer: issuerName, account: developer, keyId: "events" } as const;

/** The longest life that services accept. */
const lifeSeconds = 24 * 60 * 60;

/** What a development token says. */
export interface DevelopmentAccount {
  readonly id: string;
  /** The services that accept the token. */
  readonly audience: readonly string[];
  readonly scopes: readonly string[];
}

/** A token in a file of the issuer's folder. */
export interface DevelopmentToken extends DevelopmentAccount {
  readonly path: string;
  readonly token: string;
  readonly expiresAtMs: number;
}

/** The options of a token; an absent one stays as in the last token of the account. */
export interface DevelopmentTokenOptions {
  /** Services in addition to those of the last token. */
  readonly audience: readonly string[];
  readonly scopes?: readonly string[] | undefined;
}

/**
 * Issues tokens to the programs of a developer. Its folder has a key pair, the key set by which
 * services verify the tokens, a token for each account, and a key that signs events. Only its owner
 * can read it, and git ignores it.
 */
export class DevelopmentIssuer {
  readonly folder: string;
  readonly #keyId: string;
  readonly #key: KeyObject;

  private constructor(folder: string, { kid, ...jwk }: JsonWebKey & { kid?: string }) {
    this.folder = folder;
    this.#key = createPrivateKey({ key: jwk, format: "jwk" });
    if (kid === undefined || this.#key.asymmetricKeyType !== "ed25519") throw new TypeError();
    this.#keyId = kid;
  }

  /**
   * The issuer of a project, which is created if there is none.
   *
   * @throws UsageError if its key is damaged; MicroError `permission_denied` if others may have
   * written it.
   */
  static async open(project: string): Promise<DevelopmentIssuer> {
    const { createFile, makeOwnDirectory } = await import("@micro-es/runtime/files");
    const folder = join(project, accessFolder);
    await makeOwnDirectory(folder);
    const created = async (name: string, text: string) =>
      createFile(join(folder, name), text).catch((reason: NodeJS.ErrnoException) => {
        // Another process was faster; its file counts.
        if (reason.code !== "EEXIST") throw reason;
      });
    await created(".gitignore", "*\n");
    if (!(await exists(join(folder, keyFile)))) await created(keyFile, newKey());
    const issuer = await DevelopmentIssuer.#read(folder);
    await issuer.#publish();
    if (!(await exists(join(folder, eventKeyFile)))) await created(eventKeyFile, newEventKey());
    return issuer;
  }

  /**
   * The issuer of the project that a folder is in; undefined if there is none.
   *
   * @throws as {@link open}.
   */
  static async find(within: string): Promise<DevelopmentIssuer | undefined> {
    for (let project = within; ; project = dirname(project)) {
      const folder = join(project, accessFolder);
      if (await exists(join(folder, keyFile))) return DevelopmentIssuer.#read(folder);
      if (project === dirname(project)) return undefined;
    }
  }

  static async #read(folder: string): Promise<DevelopmentIssuer> {
    const { readOwnFile } = await import("@micro-es/runtime/files");
    const path = join(folder, keyFile);
    const text = await readOwnFile(path);
    try {
      return new DevelopmentIssuer(folder, JSON.parse(text ?? "") as JsonWebKey);
    } catch {
      throw new UsageError(`the key in ${path} is damaged; remove ${folder} to have a new one`);
    }
  }

  /** Writes a token for an account, which replaces its last one. */
  async issue(id: string, options: DevelopmentTokenOptions): Promise<DevelopmentToken> {
    if (!/^[\w-]{1,64}$/.test(id)) {
      throw new UsageError(`"${id}" cannot be a file name: use letters, digits, "-" and "_"`);
    }
    const last = await this.#last(id);
    const audience = [...new Set([...(last?.audience ?? []), ...options.audience])];
    return this.#write({ id, audience, scopes: options.scopes ?? last?.scopes ?? defaultScopes });
  }

  /** The token of an account, renewed if half of its life is over; undefined if it has none. */
  async token(id: string): Promise<DevelopmentToken | undefined> {
    const last = await this.#last(id);
    if (last === undefined) return undefined;
    const leftMs = last.expiresAtMs - Date.now();
    return leftMs > (lifeSeconds * 1_000) / 2 ? last : this.#write(last);
  }

  /** Signs the events of the project; undefined if its issuer has no key for them yet. */
  async eventSigner(): Promise<EventSigner | undefined> {
    const { readOwnFile } = await import("@micro-es/runtime/files");
    const key = await readOwnFile(join(this.folder, eventKeyFile));
    return key === undefined ? undefined : { ...eventPublisher, key };
  }

  async #last(id: string): Promise<DevelopmentToken | undefined> {
    const path = this.#pathOf(id);
    let token: string;
    try {
      token = (await readFile(path, "utf8")).trim();
    } catch {
      return undefined;
    }
    const { aud, exp, scope } = tokenClaims(token);
    return {
      id,
      path,
      token,
      audience: [aud ?? []].flat().map(String),
      scopes: String(scope ?? "")
        .split(" ")
        .filter(Boolean),
      expiresAtMs: Number(exp) * 1_000,
    };
  }

  async #write({ id, audience, scopes }: DevelopmentAccount): Promise<DevelopmentToken> {
    const { replaceFile } = await import("@micro-es/runtime/files");
    const iat = Math.floor(Date.now() / 1_000);
    const exp = iat + lifeSeconds;
    const token = this.#sign({
      ...{ iss: issuerName, sub: id, aud: audience, iat, exp, jti: randomUUID() },
      scope: scopes.join(" "),
    });
    const path = this.#pathOf(id);
    await replaceFile(path, `${token}\n`);
    return { id, audience, scopes, path, token, expiresAtMs: exp * 1_000 };
  }

  #sign(claims: object): string {
    const header = { alg: "EdDSA", typ: "at+jwt", kid: this.#keyId };
    const text = [header, claims]
      .map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"))
      .join(".");
    return `${text}.${sign(null, Buffer.from(text), this.#key).toString("base64url")}`;
  }

  /** Writes the key set. Services read it again from time to time, so it is replaced as a whole. */
  async #publish(): Promise<void> {
    const { replaceFile } = await import("@micro-es/runtime/files");
    const jwk = createPublicKey(this.#key).export({ format: "jwk" });
    const key = { ...jwk, kid: this.#keyId, use: "sig", alg: "EdDSA" };
    await replaceFile(join(this.folder, "keys.json"), `${JSON.stringify({ keys: [key] })}\n`);
  }

  #pathOf(id: string): string {
    return join(this.folder, `${id}.token`);
  }
}

const keyFile = "issuer.json";
const eventKeyFile = "events.pem";

function newEventKey(): string {
  return generateKeyPairSync("ed25519")
    .privateKey.export({ type: "pkcs8", format: "pem" })
    .toString();
}

function newKey(): string {
  const { privateKey } = generateKeyPairSync("ed25519");
  const kid = randomBytes(12).toString("base64url");
  return `${JSON.stringify({ ...privateKey.export({ format: "jwk" }), kid })}\n`;
}
