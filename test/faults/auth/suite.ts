import { natsVersion } from "../../../drivers/nats/test/server.ts";
import type { FaultSuite } from "../figure.ts";
import { tokensForged, tokensVerifiedLaxly } from "./bad-tokens.ts";
import { certificatesLeft, certificatesReplaced } from "./certificates.ts";
import { floodsKept, tokensFlooded } from "./flooding.ts";
import { namesSpelled, spellingServed } from "./names.ts";
import { accountsRevoked, nothingRevoked, revokedWithoutWatch } from "./revocation.ts";
import { keysRotated, keysSwapped } from "./rotation.ts";
import { secretsComparedEarly, secretsTimed } from "./secret-timing.ts";
import { startsWithoutStore } from "./start.ts";

/** The faults injected into accounts, tokens, keys, certificates and rules, by goal. */
export const suite: FaultSuite = {
  subject: `auth, with localAuth and storeRules on nats-server ${natsVersion}`,
  scenarios: {
    AU2: accountsRevoked,
    "AU2-polled": revokedWithoutWatch,
    "AU2-planted": nothingRevoked,
    AU3: keysRotated,
    "AU3-planted": keysSwapped,
    AU4: tokensForged,
    "AU4-planted": tokensVerifiedLaxly,
    AU5: namesSpelled,
    "AU5-planted": spellingServed,
    AU7: certificatesReplaced,
    "AU7-planted": certificatesLeft,
    AU8: startsWithoutStore,
    AU9: secretsTimed,
    "AU9-planted": secretsComparedEarly,
    AU6: tokensFlooded,
    "AU6-planted": floodsKept,
  },
  // The last ones measure latencies, and so run by themselves.
  waiting: [
    ...["AU2", "AU2-polled", "AU2-planted", "AU3", "AU3-planted"],
    ...["AU7", "AU7-planted", "AU8", "AU9", "AU9-planted", "AU6", "AU6-planted"],
  ],
};
