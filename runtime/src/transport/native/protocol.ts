/** Constants of docs/wire-protocol.md, which defines their meaning. */

export const preface: Uint8Array = Uint8Array.of(0xb5, 0x4d, 0x45, 0x53, 1, 0, 0, 0);

export const headerBytes = 16;

export const frameType = {
  hello: 0x01,
  method: 0x02,
  call: 0x03,
  message: 0x04,
  end: 0x05,
  headers: 0x06,
  result: 0x07,
  cancel: 0x08,
  credit: 0x09,
  ping: 0x0a,
  pong: 0x0b,
  goaway: 0x0c,
  credential: 0x80,
} as const;

/** Types from here on that this version does not know are skipped. */
export const firstIgnorableType = 0x81;

export const flag = {
  end: 0x01,
  metadata: 0x02,
  message: 0x04,
  /** On CALL. */
  stream: 0x08,
  /** On RESULT. */
  trailers: 0x08,
  error: 0x10,
  /** On CALL. */
  credential: 0x10,
} as const;

/** The scheme of a CREDENTIAL that is a bearer token. */
export const bearerScheme = 1;
/** How many credentials of a connection a server with auth remembers. */
export const rememberedCredentials = 64;

/**
 * The largest overhead of a payload in addition to its message: two metadata blocks, a status, and
 * their lengths.
 */
export const maxOverheadBytes = 81_920;
/**
 * Every receiver accepts messages up to this size, because the sender may not know its limit yet.
 */
export const minMessageBytes = 65_536;
export const maxHelloBytes = 1_024;
export const maxMethodBytes = 1_024;
export const maxMethodNameBytes = 512;
export const maxGoawayBytes = 1_024;
export const maxGoawayTextBytes = 1_000;
export const maxMethods = 4_096;
export const maxStatusTextBytes = 4_096;
export const maxDetails = 16;
export const maxDetailBytes = 32_768;
export const maxCredit = 0x7fff_ffff;
export const maxCredentialBytes = 8_193;

/** Settings of HELLO, with the values that apply until a side announces others. */
export const initialSettings = {
  maxMessageBytes: 65_536,
  maxConcurrentCalls: 128,
  streamWindowBytes: 65_536,
  credentials: 0,
} as const;

/** The flags that each type may have. */
export const allowedFlags: Uint8Array = new Uint8Array(256);
allowedFlags[frameType.call] =
  flag.end | flag.metadata | flag.message | flag.stream | flag.credential;
allowedFlags[frameType.message] = flag.end;
allowedFlags[frameType.result] = flag.metadata | flag.message | flag.trailers | flag.error;

/** The longest payload of each type; -1 if the message limit applies, -2 for an unknown type. */
export const payloadLimits: Int32Array = new Int32Array(256).fill(-2);
payloadLimits[frameType.hello] = maxHelloBytes;
payloadLimits[frameType.method] = maxMethodBytes;
payloadLimits[frameType.call] = -1;
payloadLimits[frameType.message] = -1;
payloadLimits[frameType.end] = 0;
payloadLimits[frameType.headers] = 16_384;
payloadLimits[frameType.result] = -1;
payloadLimits[frameType.cancel] = 0;
payloadLimits[frameType.credit] = 0;
payloadLimits[frameType.ping] = 0;
payloadLimits[frameType.pong] = 0;
payloadLimits[frameType.goaway] = maxGoawayBytes;
payloadLimits[frameType.credential] = maxCredentialBytes;
payloadLimits.fill(-1, firstIgnorableType);
