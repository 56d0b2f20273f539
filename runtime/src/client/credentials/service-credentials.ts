import type { MicroError } from "../../base/error.ts";
import type {
  CredentialSource,
  CredentialTarget,
  IssuedCredential,
} from "../../call/credential-source.ts";
import { type IssuedUntil, RenewedCredential } from "./renewed-credential.ts";

/** The most services whose credentials are kept. */
const maxServices = 1_024;

/** Renewed credentials: one for all services, or one for each. */
export class ServiceCredentials implements CredentialSource {
  readonly #perService: boolean;
  readonly #request: (service: string) => Promise<IssuedUntil>;
  readonly #credentials = new Map<string, RenewedCredential>();
  readonly #services = new WeakMap<IssuedCredential, RenewedCredential>();

  /** @param request is called with an empty name if the credential is for all services. */
  constructor(perService: boolean, request: (service: string) => Promise<IssuedUntil>) {
    this.#perService = perService;
    this.#request = request;
  }

  credential({ service }: CredentialTarget): IssuedCredential | Promise<IssuedCredential> {
    const key = this.#perService ? service : "";
    return (this.#credentials.get(key) ?? this.#add(key)).get();
  }

  rejected(credential: IssuedCredential, _error: MicroError): boolean {
    return this.#services.get(credential)?.rejected(credential) ?? false;
  }

  #add(key: string): RenewedCredential {
    if (this.#credentials.size >= maxServices) {
      for (const oldest of this.#credentials.keys()) {
        this.#credentials.delete(oldest);
        break;
      }
    }
    const renewed: RenewedCredential = new RenewedCredential(async () => {
      const issued = await this.#request(key);
      this.#services.set(issued.credential, renewed);
      return issued;
    });
    this.#credentials.set(key, renewed);
    return renewed;
  }
}
