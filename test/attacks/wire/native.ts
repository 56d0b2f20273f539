/** Frames of the native protocol, written by hand; docs/wire-protocol.md describes them. */

export const preface: Buffer = Buffer.from([0xb5, 0x4d, 0x45, 0x53, 1, 0, 0, 0]);

export const types = { hello: 1, method: 2, open: 3, result: 7, ping: 10, pong: 11 } as const;
/** Flags of a frame that opens a call. */
export const flags = { end: 0x01, message: 0x04, stream: 0x08 } as const;

interface Fields {
  readonly flags?: number;
  readonly method?: number;
  readonly call?: number;
  readonly aux?: number;
  readonly payload?: Buffer;
}

export function frame(type: number, fields: Fields = {}): Buffer {
  const payload = fields.payload ?? Buffer.alloc(0);
  const header = Buffer.alloc(16);
  header.writeUInt32BE(payload.length, 0);
  header[4] = type;
  header[5] = fields.flags ?? 0;
  header.writeUInt16BE(fields.method ?? 0, 6);
  header.writeUInt32BE(fields.call ?? 0, 8);
  header.writeUInt32BE(fields.aux ?? 0, 12);
  return Buffer.concat([header, payload]);
}

export function hello(settings = [4 << 20, 16_384, 262_144]): Buffer {
  const payload = Buffer.alloc(settings.length * 6);
  for (const [index, value] of settings.entries()) {
    payload.writeUInt16BE(index + 1, index * 6);
    payload.writeUInt32BE(value, index * 6 + 2);
  }
  return frame(types.hello, { payload });
}

/** Names a method of the target by a number. */
export function methodFrame(number: number, method: string): Buffer {
  const contentType = Buffer.from("application/protobuf");
  const name = Buffer.from(`micro.attack.v1.TargetService/${method}`);
  const payload = Buffer.concat([Buffer.of(contentType.length), contentType, name]);
  return frame(types.method, { method: number, payload });
}
